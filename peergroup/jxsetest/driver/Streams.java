import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.DatagramPacket;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

import net.jxta.credential.Credential;
import net.jxta.credential.CredentialValidator;
import net.jxta.document.MimeMediaType;
import net.jxta.peer.PeerID;
import net.jxta.protocol.PipeAdvertisement;
import net.jxta.socket.JxtaMulticastSocket;
import net.jxta.socket.JxtaServerSocket;
import net.jxta.socket.JxtaSocket;
import net.jxta.socket.JxtaSocketAddress;

/**
 * The verbs of the driver about sockets, streams of octets and datagrams. Every handle is referenced until its close,
 * since JXTA closes what nobody references.
 *
 * <p>The octets of a stream are a pattern: those of the words of a xorshift generator (13, 7, 17), little endian, whose
 * first state is {@code seed * 0x9E3779B97F4A7C15 + 1}. Whoever reads hashes what comes with SHA-256.
 *
 * <pre>
 * socklisten xml= [as=] [backlog=50] [accept=all]|none    JxtaServerSocket -> pipe. Each accepted connection becomes handle
 *                          pipe.1, pipe.2 ..., event {"event":"accept","pipe":P,"peer":ID,"reliable":B,"cred":xml or null};
 *                          accept=none: a validator refuses every credential
 * sockdial xml= [as=] [peer=] [timeout=15000] [reliable=true]    JxtaSocket -> pipe, ms, peer, reliable, cred
 * sockset pipe= [sotimeout=] [retry=] [buffer=]    limits of a connection: the longest wait for octets and for the close
 *                          (0: none), for an acknowledgement, and the octets of one block or element -> buffer
 * sockwrite pipe= octets= [seed=1] [chunk=65536] [gap=0]    writes the pattern, that many octets at a time, and flushes; gap
 *                          sleeps so many microseconds after each chunk -> sent, ms, failed (left out if nothing did)
 * sockread pipe= [octets=all until the end] [chunk=65536] [hash=true] [gap=0]    -> received, ms (from the first octets),
 *                          waitms (until then), sha256, end (the stream has ended), failed (left out if nothing did)
 * sockshut pipe= [in=false] [out=true]     shuts one half
 * socktest pipe=           -> connected, closed, inshut, outshut
 * close pipe=              closes any of them; refused if no acknowledgement of the close came
 *
 * mcopen xml= [as=]        JxtaMulticastSocket -> pipe. Datagrams begin with a decimal number of eight digits; what comes is
 *                          counted
 * mcsend pipe= [count=1] [first=1] [size=100] [to=peer]    -> sent, ms
 * mcstat pipe= [count=0] [timeout=0]    waits for that many different numbers -> count, distinct, bad, bytes, from
 *                          ({peer: datagrams}), numbers (different ones by peer)
 * </pre>
 */
final class Streams {

    private static final int MAX_ACCEPTED = 100000;

    private final Driver driver;

    Streams(Driver driver) {
        this.driver = driver;
    }

    /** Carries out a verb; false if it is none of those. */
    boolean dispatch(Driver.Args a, Map<String, Object> answer) throws Exception {
        switch (a.verb) {
            case "socklisten": listen(a, answer); break;
            case "sockdial": dial(a, answer); break;
            case "sockset": set(a, answer); break;
            case "sockwrite": write(a, answer); break;
            case "sockread": read(a, answer); break;
            case "sockshut": shut(a); break;
            case "socktest": test(a, answer); break;
            case "mcopen": open(a, answer); break;
            case "mcsend": send(a, answer); break;
            case "mcstat": stat(a, answer); break;
            default: return false;
        }
        return true;
    }

    // ---------------------------------------------------------------- pattern

    /** The octets of a stream. */
    private static final class Pattern {
        private long state;
        private final byte[] word = new byte[8];
        private final ByteBuffer asLong = ByteBuffer.wrap(word).order(ByteOrder.LITTLE_ENDIAN);
        private int used = 8;

        Pattern(long seed) {
            state = seed * 0x9E3779B97F4A7C15L + 1;
        }

        private long next() {
            state ^= state << 13;
            state ^= state >>> 7;
            state ^= state << 17;
            return state;
        }

        void fill(byte[] into, int length) {
            int at = 0;
            while (at < length && used < 8) {
                into[at++] = word[used++];
            }
            ByteBuffer whole = ByteBuffer.wrap(into).order(ByteOrder.LITTLE_ENDIAN);
            for (; at + 8 <= length; at += 8) {
                whole.putLong(at, next());
            }
            if (at < length) {
                asLong.putLong(0, next());
                for (used = 0; at < length;) {
                    into[at++] = word[used++];
                }
            }
        }
    }

    private static String hex(byte[] octets) {
        StringBuilder text = new StringBuilder();
        for (byte octet : octets) {
            text.append(String.format("%02x", octet));
        }
        return text.toString();
    }

    private static void gap(long micros) throws InterruptedException {
        if (micros > 0) {
            Thread.sleep(micros / 1000, (int) (micros % 1000) * 1000);
        }
    }

    // ---------------------------------------------------------------- sockets

    /** A connection. */
    private static final class Stream extends Driver.Closer {
        final JxtaSocket socket;
        final boolean reliable;
        InputStream in;
        OutputStream out;

        Stream(JxtaSocket socket, boolean reliable) {
            this.socket = socket;
            this.reliable = reliable;
        }

        synchronized InputStream in() throws IOException {
            if (in == null) {
                in = socket.getInputStream();
            }
            return in;
        }

        synchronized OutputStream out() throws IOException {
            if (out == null) {
                out = socket.getOutputStream();
            }
            return out;
        }

        @Override
        void close() throws IOException {
            socket.close();
        }

        void describe(Map<String, Object> answer) {
            JxtaSocketAddress other = (JxtaSocketAddress) socket.getRemoteSocketAddress();
            answer.put("peer", other == null || other.getPeerId() == null ? null : other.getPeerId().toString());
            answer.put("reliable", reliable);
            Credential cred = socket.getCredentialDoc();
            String text = null;
            if (cred != null) {
                try {
                    text = cred.getDocument(MimeMediaType.XMLUTF8).toString();
                } catch (Exception unreadable) {
                    text = unreadable.toString();
                }
            }
            answer.put("cred", text);
        }
    }

    private Stream stream(Driver.Args a) {
        Driver.Closer found = driver.closer(a.need("pipe"));
        if (!(found instanceof Stream)) {
            throw new Driver.Refusal("not a connection: " + a.need("pipe"));
        }
        return (Stream) found;
    }

    /** Whether octets of a connection are repeated; the class tells by the kind of its streams alone. */
    private static boolean reliable(JxtaSocket socket) throws IOException {
        return socket.getOutputStream() instanceof net.jxta.impl.util.pipe.reliable.ReliableOutputStream;
    }

    private void listen(final Driver.Args a, Map<String, Object> answer) throws Exception {
        CredentialValidator validator = null;
        if (a.text("accept", "all").equals("none")) {
            validator = new CredentialValidator() {
                @Override
                public boolean checkCred(Credential credential) {
                    return false;
                }
            };
        }
        final JxtaServerSocket server = new JxtaServerSocket(driver.group(a), (PipeAdvertisement) Driver.parse(a.need("xml")),
                (int) a.number("backlog", 50), 0, validator);
        final String handle = driver.handle(a, new Driver.Closer() {
            @Override
            void close() throws IOException {
                server.close();
            }
        }, "server");
        Thread acceptor = new Thread("accept " + handle) {
            @Override
            public void run() {
                for (int number = 1; number <= MAX_ACCEPTED && !server.isClosed(); number++) {
                    try {
                        JxtaSocket socket = (JxtaSocket) server.accept();
                        Stream made = new Stream(socket, reliable(socket));
                        String name = handle + "." + number;
                        driver.handles.put(name, made);
                        Map<String, Object> report = Driver.event("accept");
                        report.put("pipe", name);
                        made.describe(report);
                        Driver.print(report);
                    } catch (IOException failed) {
                        if (!server.isClosed()) {
                            failed.printStackTrace();
                        }
                        return;
                    }
                }
            }
        };
        acceptor.setDaemon(true);
        acceptor.start();
        answer.put("pipe", handle);
    }

    private void dial(Driver.Args a, Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        PeerID peer = a.has("peer") ? (PeerID) Driver.id(a.need("peer")) : null;
        JxtaSocket socket = new JxtaSocket(driver.group(a), peer, (PipeAdvertisement) Driver.parse(a.need("xml")),
                (int) a.number("timeout", 15000), a.flag("reliable", true));
        answer.put("ms", System.currentTimeMillis() - begin);
        Stream made = new Stream(socket, reliable(socket));
        answer.put("pipe", driver.handle(a, made, "sock"));
        made.describe(answer);
    }

    private void set(Driver.Args a, Map<String, Object> answer) throws Exception {
        JxtaSocket socket = stream(a).socket;
        if (a.has("sotimeout")) {
            socket.setSoTimeout((int) a.number("sotimeout", 0));
        }
        if (a.has("retry")) {
            socket.setRetryTimeout((int) a.number("retry", 0));
        }
        if (a.has("buffer")) {
            socket.setSendBufferSize((int) a.number("buffer", 0));
        }
        answer.put("buffer", socket.getSendBufferSize());
    }

    private void write(Driver.Args a, Map<String, Object> answer) throws Exception {
        Stream stream = stream(a);
        long octets = a.number("octets", 0);
        long gap = a.number("gap", 0);
        byte[] chunk = new byte[(int) a.number("chunk", 65536)];
        Pattern pattern = new Pattern(a.number("seed", 1));
        long begin = System.currentTimeMillis();
        long sent = 0;
        try {
            OutputStream out = stream.out();
            while (sent < octets) {
                int now = (int) Math.min(chunk.length, octets - sent);
                pattern.fill(chunk, now);
                out.write(chunk, 0, now);
                if (gap > 0) {
                    out.flush();
                    gap(gap);
                }
                sent += now;
            }
            out.flush();
        } catch (IOException failed) {
            answer.put("failed", failed.toString());
        }
        answer.put("sent", sent);
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    private void read(Driver.Args a, Map<String, Object> answer) throws Exception {
        Stream stream = stream(a);
        long octets = a.number("octets", Long.MAX_VALUE);
        long gap = a.number("gap", 0);
        boolean hash = a.flag("hash", true);
        byte[] chunk = new byte[(int) a.number("chunk", 65536)];
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        long begin = System.currentTimeMillis();
        long first = 0;
        long received = 0;
        boolean end = false;
        try {
            InputStream in = stream.in();
            while (received < octets) {
                int n = in.read(chunk, 0, (int) Math.min(chunk.length, octets - received));
                if (n < 0) {
                    end = true;
                    break;
                }
                if (first == 0) {
                    first = System.currentTimeMillis();
                }
                if (hash) {
                    digest.update(chunk, 0, n);
                }
                received += n;
                gap(gap);
            }
        } catch (IOException failed) {
            answer.put("failed", failed.toString());
        }
        long now = System.currentTimeMillis();
        answer.put("received", received);
        answer.put("ms", first == 0 ? 0 : now - first);
        answer.put("waitms", (first == 0 ? now : first) - begin);
        answer.put("end", end);
        if (hash) {
            answer.put("sha256", hex(digest.digest()));
        }
    }

    private void shut(Driver.Args a) throws Exception {
        Stream stream = stream(a);
        stream.in();
        stream.out();
        if (a.flag("out", true)) {
            stream.socket.shutdownOutput();
        }
        if (a.flag("in", false)) {
            stream.socket.shutdownInput();
        }
    }

    private void test(Driver.Args a, Map<String, Object> answer) {
        JxtaSocket socket = stream(a).socket;
        answer.put("connected", socket.isConnected());
        answer.put("closed", socket.isClosed());
        answer.put("inshut", socket.isInputShutdown());
        answer.put("outshut", socket.isOutputShutdown());
    }

    // -------------------------------------------------------------- datagrams

    private static final int NUMBER_DIGITS = 8;

    /** A multicast socket, and what came through it. */
    private static final class Datagrams extends Driver.Closer {
        final JxtaMulticastSocket socket;
        final Map<String, AtomicInteger> from = new LinkedHashMap<String, AtomicInteger>();
        final Map<String, BitSet> numbers = new LinkedHashMap<String, BitSet>();
        long count, bad, bytes;

        Datagrams(JxtaMulticastSocket socket) {
            this.socket = socket;
        }

        @Override
        void close() {
            socket.close();
        }

        synchronized int distinct() {
            int all = 0;
            for (BitSet seen : numbers.values()) {
                all += seen.cardinality();
            }
            return all;
        }

        synchronized void take(DatagramPacket packet) {
            count++;
            bytes += packet.getLength();
            String who = packet.getAddress() == null ? "" : packet.getAddress().getHostName();
            if (!from.containsKey(who)) {
                from.put(who, new AtomicInteger());
                numbers.put(who, new BitSet());
            }
            from.get(who).incrementAndGet();
            try {
                byte[] data = packet.getData();
                int number = Integer.parseInt(new String(data, packet.getOffset(), NUMBER_DIGITS, StandardCharsets.US_ASCII));
                boolean same = true;
                for (int i = NUMBER_DIGITS; i < packet.getLength(); i++) {
                    same &= data[packet.getOffset() + i] == (byte) (number + i);
                }
                if (!same) {
                    bad++;
                }
                numbers.get(who).set(number);
            } catch (RuntimeException notOurs) {
                bad++;
            }
            notifyAll();
        }
    }

    private Datagrams datagrams(Driver.Args a) {
        Driver.Closer found = driver.closer(a.need("pipe"));
        if (!(found instanceof Datagrams)) {
            throw new Driver.Refusal("not a multicast socket: " + a.need("pipe"));
        }
        return (Datagrams) found;
    }

    private void open(Driver.Args a, Map<String, Object> answer) throws Exception {
        final JxtaMulticastSocket socket =
                new JxtaMulticastSocket(driver.group(a), (PipeAdvertisement) Driver.parse(a.need("xml")));
        socket.setSoTimeout(0);
        final Datagrams made = new Datagrams(socket);
        String handle = driver.handle(a, made, "mcast");
        Thread reader = new Thread("datagrams " + handle) {
            @Override
            public void run() {
                while (!socket.isClosed()) {
                    DatagramPacket packet = new DatagramPacket(new byte[65536], 65536);
                    try {
                        socket.receive(packet);
                    } catch (IOException ended) {
                        continue;
                    }
                    made.take(packet);
                }
            }
        };
        reader.setDaemon(true);
        reader.start();
        answer.put("pipe", handle);
    }

    private void send(Driver.Args a, Map<String, Object> answer) throws Exception {
        Datagrams datagrams = datagrams(a);
        long count = a.number("count", 1);
        long first = a.number("first", 1);
        byte[] data = new byte[(int) a.number("size", 100)];
        long begin = System.currentTimeMillis();
        for (long number = first; number < first + count; number++) {
            for (int i = NUMBER_DIGITS; i < data.length; i++) {
                data[i] = (byte) (number + i);
            }
            byte[] digits = String.format("%0" + NUMBER_DIGITS + "d", number).getBytes(StandardCharsets.US_ASCII);
            System.arraycopy(digits, 0, data, 0, NUMBER_DIGITS);
            DatagramPacket packet = new DatagramPacket(data.clone(), data.length);
            if (a.has("to")) {
                packet.setAddress(InetAddress.getByAddress(a.need("to"), new byte[4]));
            }
            datagrams.socket.send(packet);
        }
        answer.put("sent", count);
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    private void stat(Driver.Args a, Map<String, Object> answer) throws Exception {
        Datagrams datagrams = datagrams(a);
        long want = a.number("count", 0);
        long end = System.currentTimeMillis() + a.number("timeout", 0);
        synchronized (datagrams) {
            for (long left; datagrams.distinct() < want && (left = end - System.currentTimeMillis()) > 0;) {
                datagrams.wait(left);
            }
            answer.put("count", datagrams.count);
            answer.put("distinct", datagrams.distinct());
            answer.put("bad", datagrams.bad);
            answer.put("bytes", datagrams.bytes);
            Map<String, Object> from = new LinkedHashMap<String, Object>();
            Map<String, Object> numbers = new LinkedHashMap<String, Object>();
            for (String who : datagrams.from.keySet()) {
                from.put(who, datagrams.from.get(who).get());
                numbers.put(who, datagrams.numbers.get(who).cardinality());
            }
            answer.put("from", from);
            answer.put("numbers", numbers);
        }
    }
}
