import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;

import net.jxta.document.MimeMediaType;
import net.jxta.endpoint.ByteArrayMessageElement;
import net.jxta.endpoint.Message;
import net.jxta.pipe.InputPipe;
import net.jxta.pipe.OutputPipe;
import net.jxta.pipe.PipeMsgEvent;
import net.jxta.pipe.PipeMsgListener;
import net.jxta.pipe.PipeService;
import net.jxta.protocol.PipeAdvertisement;

/**
 * The verbs of the driver that measure how long messages take there and back over two pipes. Everything is handled on
 * the thread that JXTA calls with a message.
 *
 * <pre>
 * tripserve xml= back=xml peer=    opens the input pipe xml; what comes is sent back on the output pipe back, which that
 *                          peer has
 * trips xml= to=xml [count=1000] [warm=1000] [size=1024]    opens the input pipe xml and sends to the output pipe to, one
 *                          message after the answer to the one before -> count, p50us, p99us
 * </pre>
 */
final class Trips {

    private final Driver driver;

    Trips(Driver driver) {
        this.driver = driver;
    }

    /** Carries out a verb; false if it is none of those. */
    boolean dispatch(Driver.Args a, Map<String, Object> answer) throws Exception {
        switch (a.verb) {
            case "tripserve": serve(a, answer); break;
            case "trips": trips(a, answer); break;
            default: return false;
        }
        return true;
    }

    private void serve(Driver.Args a, Map<String, Object> answer) throws Exception {
        PipeService pipes = driver.group(a).getPipeService();
        final PipeAdvertisement back = (PipeAdvertisement) Driver.parse(a.need("back"));
        final OutputPipe[] out = new OutputPipe[1];
        final InputPipe in = pipes.createInputPipe((PipeAdvertisement) Driver.parse(a.need("xml")), new PipeMsgListener() {
            public void pipeMsgEvent(PipeMsgEvent event) {
                try {
                    if (out[0] != null) {
                        out[0].send(event.getMessage().clone());
                    }
                } catch (Exception failed) {
                    // the other side waits in vain, and says so
                }
            }
        });
        driver.keep(in);
        out[0] = pipes.createOutputPipe(back, Collections.singleton(Driver.id(a.need("peer"))), 60000);
        driver.keep(out[0]);
    }

    private void trips(Driver.Args a, Map<String, Object> answer) throws Exception {
        PipeService pipes = driver.group(a).getPipeService();
        final int count = (int) a.number("count", 1000);
        final int warm = (int) a.number("warm", 1000);
        final byte[] body = new byte[(int) a.number("size", 1024)];
        final long[] took = new long[count];
        final SynchronousQueue<String> done = new SynchronousQueue<String>();
        final OutputPipe[] out = new OutputPipe[1];
        final class Next implements PipeMsgListener {
            volatile int n;
            long begun;

            void send() throws Exception {
                Message message = new Message();
                message.addMessageElement("juxta", new ByteArrayMessageElement("body", MimeMediaType.AOS, body, null));
                begun = System.nanoTime();
                while (!out[0].send(message)) {
                    Thread.yield();
                }
            }

            public void pipeMsgEvent(PipeMsgEvent event) {
                long now = System.nanoTime();
                if (n >= warm && n < warm + count) {
                    took[n - warm] = now - begun;
                }
                try {
                    if (++n < warm + count) {
                        send();
                    } else {
                        done.offer("", 10, TimeUnit.SECONDS);
                    }
                } catch (Exception failed) {
                    // the time limit tells
                }
            }
        }
        Next next = new Next();
        InputPipe in = pipes.createInputPipe((PipeAdvertisement) Driver.parse(a.need("xml")), next);
        try {
            out[0] = pipes.createOutputPipe((PipeAdvertisement) Driver.parse(a.need("to")), 30000);
            for (int i = 0; next.n == 0 && i < 30; i++) { // until the other side has found its way back
                next.send();
                Thread.sleep(1000);
            }
            if (done.poll(a.number("timeout", 60000), TimeUnit.MILLISECONDS) == null) {
                throw new Exception("after " + next.n + " answers none came any more");
            }
        } finally {
            in.close();
        }
        Arrays.sort(took);
        answer.put("count", count);
        answer.put("p50us", took[count / 2] / 1000);
        answer.put("p99us", took[count * 99 / 100] / 1000);
    }
}
