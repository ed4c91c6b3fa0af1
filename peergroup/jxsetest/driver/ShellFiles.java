import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import net.jxta.endpoint.ByteArrayMessageElement;
import net.jxta.endpoint.Message;
import net.jxta.endpoint.MessageElement;
import net.jxta.endpoint.StringMessageElement;
import net.jxta.pipe.InputPipe;
import net.jxta.pipe.PipeMsgEvent;
import net.jxta.pipe.PipeMsgListener;
import net.jxta.protocol.PipeAdvertisement;

/**
 * The verbs of the driver that send and take files as the xfer command of the JXTA Shell does: a block a message.
 *
 * <pre>
 * filesend pipe= file=path [block=15360] [user=Anonymous]    sends a file into an output pipe -> blocks
 * filetake xml= dir=path   opens an input pipe and puts what comes into a folder. Blocks that JXTA hands over before the
 *                          first one are lost, as in the JXTA Shell -> pipe; event
 *                          {"event":"file","pipe":P,"name","user","peer","bytes":N,"block":N} for each file that is whole
 * </pre>
 */
final class ShellFiles {

    private static final String PREFIX = "JxtaXfer:";

    private final Driver driver;

    ShellFiles(Driver driver) {
        this.driver = driver;
    }

    /** Carries out a verb; false if it is none of those. */
    boolean dispatch(Driver.Args a, Map<String, Object> answer) throws Exception {
        switch (a.verb) {
            case "filesend": send(a, answer); break;
            case "filetake": take(a, answer); break;
            default: return false;
        }
        return true;
    }

    private void send(Driver.Args a, Map<String, Object> answer) throws Exception {
        File file = new File(a.need("file"));
        byte[] content = Files.readAllBytes(file.toPath());
        int block = (int) a.number("block", 15360);
        String identifier = MessageElement.getUniqueName();
        int sequence = 0;
        for (int at = 0; at < content.length; at += block) {
            Message message = new Message();
            if (at == 0) {
                ByteArrayOutputStream octets = new ByteArrayOutputStream();
                DataOutputStream out = new DataOutputStream(octets);
                out.writeInt(2);
                out.writeUTF(driver.group(a).getPeerID().toString());
                out.writeUTF(a.text("user", "Anonymous"));
                out.writeUTF("");
                out.writeLong(0);
                out.writeUTF(identifier);
                out.writeUTF(file.getName());
                out.writeLong(content.length);
                out.writeLong(block);
                message.addMessageElement(new ByteArrayMessageElement(PREFIX + "Fileinfo", null, octets.toByteArray(), null));
            }
            message.addMessageElement(new StringMessageElement(PREFIX + "Identifier", identifier, null));
            message.addMessageElement(new StringMessageElement(PREFIX + "Sequence", Integer.toString(sequence++), null));
            byte[] data = java.util.Arrays.copyOfRange(content, at, Math.min(at + block, content.length));
            message.addMessageElement(new ByteArrayMessageElement(PREFIX + "Data", null, data, null));
            while (!driver.closer(a.need("pipe")).send(message)) {
                Thread.sleep(2);
            }
        }
        answer.put("blocks", sequence);
    }

    /** A file that comes. */
    private static final class Coming {
        final List<Message> blocks = new ArrayList<Message>();
        DataInputStream info;
    }

    private void take(Driver.Args a, Map<String, Object> answer) throws Exception {
        final File dir = new File(a.need("dir"));
        final Map<String, Coming> coming = new HashMap<String, Coming>();
        final String[] handle = new String[1];
        final InputPipe[] pipe = new InputPipe[1];
        handle[0] = driver.handle(a, new Driver.Closer() {
            @Override
            void close() {
                pipe[0].close();
            }
        }, "files");
        pipe[0] = driver.group(a).getPipeService().createInputPipe((PipeAdvertisement) Driver.parse(a.need("xml")), new PipeMsgListener() {
            public void pipeMsgEvent(PipeMsgEvent event) {
                try {
                    if (event.getMessage().getMessageElement(PREFIX + "Fileinfo") != null) {
                        Thread.sleep(100); // the Shell makes the file before it knows what belongs to it
                    }
                    synchronized (coming) {
                        block(handle[0], dir, coming, event.getMessage());
                    }
                } catch (Exception failed) {
                    failed.printStackTrace();
                }
            }
        });
        answer.put("pipe", handle[0]);
    }

    private static void block(String handle, File dir, Map<String, Coming> coming, Message message) throws Exception {
        String identifier = message.getMessageElement(PREFIX + "Identifier").toString();
        MessageElement info = message.getMessageElement(PREFIX + "Fileinfo");
        if (info != null) {
            Coming begun = new Coming();
            begun.info = new DataInputStream(new ByteArrayInputStream(info.getBytes(true)));
            begun.info.mark(1 << 20);
            coming.put(identifier, begun);
        }
        Coming file = coming.get(identifier);
        if (file == null) {
            return;
        }
        file.blocks.add(message);
        file.info.reset();
        int version = file.info.readInt();
        String peer = file.info.readUTF();
        String user = file.info.readUTF();
        file.info.readUTF();
        file.info.readLong();
        boolean same = file.info.readUTF().equals(identifier);
        String name = file.info.readUTF();
        long size = file.info.readLong();
        long block = file.info.readLong();
        if (version != 2 || !same || file.info.available() != 0) {
            throw new Exception("bad information: version " + version);
        }
        if (file.blocks.size() * block < size) {
            return;
        }
        coming.remove(identifier);
        try (RandomAccessFile out = new RandomAccessFile(new File(dir, new File(name).getName()), "rw")) {
            for (Message part : file.blocks) {
                out.seek(Integer.parseInt(part.getMessageElement(PREFIX + "Sequence").toString()) * block);
                out.write(part.getMessageElement(PREFIX + "Data").getBytes(true));
            }
        }
        Map<String, Object> event = Driver.event("file");
        event.put("pipe", handle);
        event.put("name", name);
        event.put("user", user);
        event.put("peer", peer);
        event.put("bytes", size);
        event.put("block", block);
        Driver.print(event);
    }
}
