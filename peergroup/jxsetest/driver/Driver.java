import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringReader;
import java.lang.reflect.Field;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Enumeration;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.Logger;

import net.jxta.credential.AuthenticationCredential;
import net.jxta.credential.Credential;
import net.jxta.discovery.DiscoveryEvent;
import net.jxta.discovery.DiscoveryListener;
import net.jxta.discovery.DiscoveryService;
import net.jxta.document.Advertisement;
import net.jxta.document.AdvertisementFactory;
import net.jxta.document.MimeMediaType;
import net.jxta.document.StructuredDocumentFactory;
import net.jxta.document.XMLDocument;
import net.jxta.document.XMLElement;
import net.jxta.endpoint.ByteArrayMessageElement;
import net.jxta.endpoint.EndpointAddress;
import net.jxta.endpoint.EndpointService;
import net.jxta.endpoint.Message;
import net.jxta.endpoint.MessageElement;
import net.jxta.endpoint.MessageSender;
import net.jxta.endpoint.MessageTransport;
import net.jxta.endpoint.Messenger;
import net.jxta.endpoint.StringMessageElement;
import net.jxta.id.ID;
import net.jxta.id.IDFactory;
import net.jxta.impl.endpoint.router.EndpointRouter;
import net.jxta.impl.endpoint.router.RouteControl;
import net.jxta.impl.membership.passwd.PasswdMembershipService;
import net.jxta.impl.membership.pse.PSECredential;
import net.jxta.impl.membership.pse.PSEMembershipService;
import net.jxta.impl.membership.pse.StringAuthenticator;
import net.jxta.impl.peergroup.StdPeerGroupParamAdv;
import net.jxta.impl.protocol.RdvConfigAdv;
import net.jxta.impl.protocol.ResolverQuery;
import net.jxta.impl.rendezvous.PeerConnection;
import net.jxta.impl.rendezvous.StdRendezVousService;
import net.jxta.impl.util.TimeUtils;
import net.jxta.membership.Authenticator;
import net.jxta.membership.MembershipService;
import net.jxta.peer.PeerID;
import net.jxta.peergroup.PeerGroup;
import net.jxta.peergroup.PeerGroupID;
import net.jxta.pipe.InputPipe;
import net.jxta.pipe.OutputPipe;
import net.jxta.pipe.PipeID;
import net.jxta.pipe.PipeMsgEvent;
import net.jxta.pipe.PipeService;
import net.jxta.platform.ModuleClassID;
import net.jxta.platform.ModuleSpecID;
import net.jxta.platform.NetworkConfigurator;
import net.jxta.platform.NetworkManager;
import net.jxta.protocol.DiscoveryResponseMsg;
import net.jxta.protocol.ModuleClassAdvertisement;
import net.jxta.protocol.ModuleImplAdvertisement;
import net.jxta.protocol.ModuleSpecAdvertisement;
import net.jxta.protocol.PeerAdvertisement;
import net.jxta.protocol.PeerGroupAdvertisement;
import net.jxta.protocol.SignedAdvertisement;
import net.jxta.protocol.PipeAdvertisement;
import net.jxta.protocol.RdvAdvertisement;
import net.jxta.protocol.ResolverQueryMsg;
import net.jxta.protocol.ResolverResponseMsg;
import net.jxta.protocol.RouteAdvertisement;
import net.jxta.rendezvous.RendezVousService;
import net.jxta.rendezvous.RendezvousEvent;
import net.jxta.rendezvous.RendezvousListener;
import net.jxta.resolver.QueryHandler;
import net.jxta.resolver.ResolverService;
import net.jxta.socket.JxtaServerSocket;
import net.jxta.socket.JxtaSocket;
import net.jxta.util.JxtaBiDiPipe;
import net.jxta.util.JxtaServerPipe;

/**
 * Runs one JXTA 2.5 Java peer under remote control, so that tests in another language can use it as a counterpart.
 *
 * <p>Start: {@code java -cp ... Driver [loglevel=OFF|SEVERE|WARNING|INFO|CONFIG|FINE|FINER|FINEST|ALL]}. The default is
 * OFF. Logs and stray output of the Java peer go to standard error. End of standard input ends the process.
 *
 * <h2>Lines</h2>
 *
 * A command is one line {@code ID VERB key=value key=value ...}; values are percent-encoded UTF-8 ({@code +} stays a
 * plus sign). It is answered by one line of JSON: {@code {"id":"ID","ok":true,...}} or
 * {@code {"id":"ID","error":"..."}}. Commands run concurrently, each on its own thread, so wait for the answer where the
 * order matters. Output is pure ASCII. Times are milliseconds. Lines with {@code "event"} come at any time:
 *
 * <pre>
 * {"event":"ready","pid":N,"java":"17...","uptime":ms}                    once, at the start
 * {"event":"rdv","type":T,"peer":ID,"group":GID,"time":epoch ms}          T: RDVCONNECT RDVRECONNECT CLIENTCONNECT
 *                                CLIENTRECONNECT RDVDISCONNECT RDVFAILED CLIENTDISCONNECT CLIENTFAILED BECAMERDV BECAMEEDGE
 * {"event":"message","pipe":P,"n":N or null,"elements":[E...]}            for input pipes opened with events=true
 * {"event":"adv","group":GID,"queryid":N,"source":S,"xml":[...]}          after advevents on=true
 * {"event":"query","group":GID,"handler":H,"source":S,"queryid":N,"query":text}    a query reached a 'handler'
 * </pre>
 *
 * An element {@code E} is {@code {"ns","name","mime","bytes":N,"text"}}; text is the content as UTF-8, left out beyond
 * 65536 bytes. An id is always the full text {@code urn:jxta:...}.
 *
 * <h2>Verbs</h2>
 *
 * Optional keys are in brackets, with the default behind a colon. Every verb but the first two and {@code exit} takes
 * {@code [group=GID]}, the group it works in; default is the net group, {@code group=world} is the world group.
 *
 * <pre>
 * start name= home= port= [role=edge]|rendezvous|adhoc [seeds=tcp://127.0.0.1:9701,...] [multicast=false]
 *       [netid=] [netname=] [netdesc=] [peerid=] [principal= password=] [relay=false] [useonlyseeds=false] [desc=]
 *       [lease=] [incoming=true] [transport=tcp]|http
 *                          starts the net group; one transport, on 127.0.0.1 only. A home that was used before keeps its
 *                          peer id. relay: false, client or server; a client asks the seeds. incoming=false: cannot be
 *                          dialled. lease: what a rendezvous grants, 1200000 if not given
 *                          -> peerid, groupid, name, address, ms, xml (peer advertisement)
 * stop                     stops the network -> ms. 'start' may follow. No goodbye is said to rendezvous or clients, and
 *                          TCP connections stay open
 * exit                     ends the process (the answer comes first)
 * self                     -> peerid, groupid, name, xml (peer advertisement), groupxml, groups (ids)
 * rdv                      -> rendezvous (am I one), connected (do I have one or am I one), status, peers (ids of the
 *                          rendezvous of an edge; clients of a rendezvous), leases ([{peer,name,leftms,connected}]),
 *                          view (peer ids of the peerview; rendezvous only, without myself)
 * waitrdv [timeout=30000]  until this edge has a rendezvous -> peers, ms, connectedms (since process start)
 * waitclients [count=1] [timeout=30000]    until this rendezvous has that many clients -> peers, ms
 * waitview [count=1] [timeout=30000]       until the peerview has that many other members -> view, ms
 * rdvconnect addr= | xml=  adds a seed: an endpoint address or a peer advertisement (used on the next 15 s tick)
 * rdvdisconnect peer=      drops that rendezvous, a Disconnect is sent. Edges only; a rendezvous refuses
 * challenge peer= [delay=0]    challengeRendezVous; delay > 0 cuts the lease down so that a renewal is due at once,
 *                          it goes out on the next tick, or the rendezvous fails after the delay
 * role to=rendezvous|edge  switches the role in the running group -> ms
 * reconnect [count=1] [timeout=30000]      edge only: becomes rendezvous and edge again, which disconnects and asks for a
 *                          new lease at once, without the 15 s tick -> count, ms, each ([ms])
 * tcpdial addr=tcp://h:p [count=1] [hold=0] opens a further TCP connection with welcome, closes it after hold ms
 *                          -> count (opened), failed, ms
 * ping peer= | addr=       EndpointService.ping -> reached
 * route [peer=]            -> xml (route advertisement in use); without peer: routes ([xml]) and local (own route)
 *
 * publish type=peer|group|pipe|module|modulespec|moduleimpl [name=] [desc=] [id=] [pipetype=JxtaUnicast]
 *         [creator=] [specuri=] [version=] [code=] [uri=] [provider=] [msid=] [pipexml=]
 *         [local=true] [remote=false] [peer=] [lifetime=] [expiration=]      -> advid, xml, kind
 *                          makes an advertisement; local=false remote=false only makes it. peer: remote publish to it
 * publishmany count= [name=many] [pipetype=JxtaUnicast]    so many pipes, named name-1, name-2 ..., into the local cache
 *                          as fast as it goes -> count, ms
 * publishxml xml= [local=true] [remote=false] [peer=] [lifetime=] [expiration=]      -> advid, xml, kind
 * parse xml=               what the Java classes make of a document -> class, advtype, advid, xml (printed again); of a
 *                          signed advertisement inner (what was signed, printed again) and signer instead of xml
 * search kind=peer|group|adv [attr= value=] [threshold=10] [peer=] [want=0] [timeout=10000] [repeat=0]
 *                          remote query; ends when 'want' different advertisements are there, else after timeout;
 *                          repeat: asks again each so many ms
 *                          -> count, responses, ms, results ([{xml,expiration,source,queryid,ms}])
 * local kind= [attr= value=]   local cache -> count, results ([{xml,advid,lifetime,expiration}])
 * flush kind= [attr= value=]   removes matching advertisements from the local cache -> count
 * advevents [on=true]      reports every discovery response and push as an event
 *
 * newid type=peer|group|pipe|module|modulespec|codat [seed=text] [base=id]   -> newid
 * inpipe xml= [as=] [events=false] [tag=juxta:n] [keep=16]  opens an input pipe -> pipe (handle), pipeid, pipetype
 * pipestat pipe=           -> count, first, last, outoforder, duplicates, distinct, max, missing (first 100 between 1 and
 *                          max), unnumbered, badbody, bytes, firstms, lastms (epoch)
 * waitpipe pipe= count= [timeout=30000]     until count different numbers or messages are there; answers like pipestat,
 *                          plus reached
 * pipereset pipe=          forgets the counts
 * got pipe= [last=1]       -> messages ([[E...]...]), newest last
 * outpipe xml= [as=] [peers=id,id] [timeout=30000]     opens an output pipe -> pipe, pipeid, pipetype, ms
 * send pipe= [count=1] [size=0] [rate=0] [first=1] [tag=juxta:n] [timeout=60000]
 *                          numbered messages: element 'tag' (ns:name) holds the decimal number; with size > 0 element
 *                          juxta:body holds octets body[i] = (number + i) modulo 256. rate: messages a second
 *                          -> sent, refused (a full queue; tried again), ms, last
 * sendtext pipe= NS:NAME=text... [mime=]    one message with these elements: each key with a colon is one, ":x" has the
 *                          empty namespace -> sent, bytes
 * close pipe=              closes any kind of handle
 *
 * biserve xml= [as=] [events=false] [echo=true]     JxtaServerPipe -> pipe. Each accepted connection becomes handle
 *                          pipe.1, pipe.2 ..., event {"event":"accept","pipe":P,"peer":ID or null,"cred":xml or null}
 * bidial xml= [as=] [peer=] [timeout=30000] [reliable=true] [cred=xml] [events=false]   JxtaBiDiPipe -> pipe, ms; use send,
 *                          sendtext, pipestat, got. When either end closes or breaks: event {"event":"bidiclosed","pipe":P}
 * sockserve xml= [as=]     JxtaServerSocket; every connection is echoed until its end -> pipe; event "accept"
 * sockecho xml= [peer=] [size=1024] [timeout=30000]   JxtaSocket: sends size bytes, reads them back -> ms, same (equal)
 *
 * socklisten sockdial sockset sockwrite sockread sockshut socktest mcopen mcsend mcstat     see Streams
 * tripserve trips          see Trips
 * filesend filetake        see ShellFiles
 *
 * creategroup name= [desc=] [id=] [membership=none]|passwd|pse [user= pass=] [parm=xml] [publish=true] [remote=true]
 *                          [rdv=false]
 *                          new group below the one in group=; started, not authenticated -> groupid, xml, implxml, ms.
 *                          rdv=true: I become rendezvous in it. parm: the parameters of a pse membership
 * joingroup xml= [implxml=] [user= pass=] [rdv=false]     starts a group of which the group advertisement is given (and
 *                          its module implementation, if it is not to be looked for)
 *                          -> groupid, name, started, ms, joined, membership (class name)
 * joingroup groupid= [...] the same, but the group advertisement is looked for first (up to 2 minutes)
 * auth [user= pass=]       joins the group's membership -> joined, membership, credential (xml or null). In a passwd group
 *                          the default credential before it is that of "nobody", which joingroup reports as joined
 * pse                      the keys of the group's PSE membership, after auth
 *                          -> chain (base64 of the own certificates, root last), trusted (ids)
 * psetrust cert=base64 id= trusts a root certificate, under an id
 * leavegroup group=        stops a group
 *
 * handler name= [on=true] [answer=text] [repeat=false]     resolver handler: each query is reported as an event; answered
 *                          with 'answer' where {} stands for the query text; repeat: asks the resolver to repropagate
 * query handler= text= [peer=] [want=1] [timeout=10000] [takeover=false]   asks by the resolver; a handler of that name is
 *                          put in place while waiting, if there is none (takeover: in place of the one there)
 *                          -> count, ms, results ([{queryid,text}]). Without peer a query reaches
 *                          rendezvous peers only, not their other clients
 * peerinfo [peer=]         what the peer info service has -> available, runningtime, lastreset. For a remote peer use
 *                          'query' (2.5 answers no peer info queries)
 * </pre>
 *
 * <h2>Habits of these peers</h2>
 *
 * <ul>
 * <li>Each message of a TCP connection is handed to a thread pool: listeners (also those of bidirectional pipes) see a
 * fast stream slightly out of order. Look at {@code distinct} and {@code missing} rather than {@code outoforder}.
 * <li>An edge asks for its first lease about 2 s after its start, later on a 15 s tick.
 * <li>An edge tells its rendezvous of advertisements published locally every 30 s; use {@code remote=true} or
 * {@code repeat=} to be found, or to find, earlier.
 * <li>In a new group nobody is rendezvous: make one with {@code rdv=true}, and let it be there before the edges come.
 * They find it 15 s after they have joined; if they were there first it takes minutes, unless {@code rdvconnect xml=}
 * (with {@code group=} and the peer advertisement of the rendezvous) helps.
 * <li>A lease given up by the edge itself is reported as RDVFAILED, not as RDVDISCONNECT.
 * </ul>
 */
public final class Driver {

    private static final int MAX_TEXT = 65536;
    private static final String[] RDV_EVENTS = {
        "RDVCONNECT", "RDVRECONNECT", "CLIENTCONNECT", "CLIENTRECONNECT", "RDVDISCONNECT", "RDVFAILED",
        "CLIENTDISCONNECT", "CLIENTFAILED", "BECAMERDV", "BECAMEEDGE"};

    private static final long processStart = java.lang.management.ManagementFactory.getRuntimeMXBean().getStartTime();
    private static PrintStream out;

    private NetworkManager manager;
    private PeerGroup net;
    private final Map<String, PeerGroup> groups = new ConcurrentHashMap<String, PeerGroup>();
    final Map<String, Closer> handles = new ConcurrentHashMap<String, Closer>();
    private final Map<String, QueryHandler> handlers = new ConcurrentHashMap<String, QueryHandler>();
    private final Map<PeerGroup, DiscoveryListener> advListeners = new ConcurrentHashMap<PeerGroup, DiscoveryListener>();
    private final AtomicInteger handleNumber = new AtomicInteger();
    private final Streams streams = new Streams(this);
    private final Trips trips = new Trips(this);
    private final ShellFiles files = new ShellFiles(this);
    private final List<Object> kept = Collections.synchronizedList(new ArrayList<Object>());

    public static void main(String[] argv) throws Exception {
        out = System.out;
        System.setOut(System.err);
        String level = "OFF";
        for (String arg : argv) {
            if (arg.startsWith("loglevel=")) {
                level = arg.substring("loglevel=".length()).toUpperCase();
            }
        }
        System.setProperty("net.jxta.logging.Logging", level);
        System.setProperty("java.awt.headless", "true");
        Level asLevel = Level.parse(level);
        Logger root = Logger.getLogger("");
        root.setLevel(asLevel);
        for (Handler handler : root.getHandlers()) {
            handler.setLevel(asLevel);
        }

        Map<String, Object> ready = event("ready");
        ready.put("pid", ProcessHandle.current().pid());
        ready.put("java", System.getProperty("java.version"));
        ready.put("uptime", System.currentTimeMillis() - processStart);
        print(ready);

        final Driver driver = new Driver();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (line.trim().isEmpty()) {
                continue;
            }
            final Args args = new Args(line);
            Thread worker = new Thread("command " + args.id) {
                @Override
                public void run() {
                    driver.execute(args);
                }
            };
            worker.setDaemon(true);
            worker.start();
        }
        Runtime.getRuntime().halt(0);
    }

    /** Runs one command and prints its answer. */
    private void execute(Args args) {
        Map<String, Object> answer = new LinkedHashMap<String, Object>();
        answer.put("id", args.id);
        answer.put("ok", true);
        try {
            dispatch(args, answer);
        } catch (Throwable failed) {
            answer = new LinkedHashMap<String, Object>();
            answer.put("id", args.id);
            answer.put("error", describe(failed));
            if (!(failed instanceof Refusal)) {
                failed.printStackTrace();
            }
        }
        print(answer);
        if (args.verb.equals("exit")) {
            Runtime.getRuntime().halt(0);
        }
    }

    private void dispatch(Args a, Map<String, Object> answer) throws Exception {
        switch (a.verb) {
            case "start": start(a, answer); break;
            case "stop": stop(answer); break;
            case "exit": break;
            case "self": self(a, answer); break;
            case "rdv": rdv(a, answer); break;
            case "waitrdv": waitRdv(a, answer); break;
            case "waitclients": waitClients(a, answer); break;
            case "waitview": waitView(a, answer); break;
            case "rdvconnect": rdvConnect(a); break;
            case "rdvdisconnect": group(a).getRendezVousService().disconnectFromRendezVous(id(a.need("peer"))); break;
            case "challenge":
                group(a).getRendezVousService().challengeRendezVous(id(a.need("peer")), a.number("delay", 0));
                break;
            case "role": role(a, answer); break;
            case "reconnect": reconnect(a, answer); break;
            case "tcpdial": tcpDial(a, answer); break;
            case "ping": ping(a, answer); break;
            case "route": route(a, answer); break;
            case "publish": publish(a, makeAdvertisement(a), answer); break;
            case "publishmany": publishMany(a, answer); break;
            case "publishxml": publish(a, parse(a.need("xml")), answer); break;
            case "parse": parseOnly(a, answer); break;
            case "search": search(a, answer); break;
            case "local": local(a, answer); break;
            case "flush": flush(a, answer); break;
            case "advevents": advEvents(a); break;
            case "newid": newId(a, answer); break;
            case "inpipe": inPipe(a, answer); break;
            case "pipestat": counter(a).report(answer); break;
            case "waitpipe": waitPipe(a, answer); break;
            case "pipereset": counter(a).reset(); break;
            case "got": got(a, answer); break;
            case "outpipe": outPipe(a, answer); break;
            case "send": send(a, answer); break;
            case "sendtext": sendText(a, answer); break;
            case "close": close(a); break;
            case "biserve": biServe(a, answer); break;
            case "bidial": biDial(a, answer); break;
            case "sockserve": sockServe(a, answer); break;
            case "sockecho": sockEcho(a, answer); break;
            case "creategroup": createGroup(a, answer); break;
            case "joingroup": joinGroup(a, answer); break;
            case "pse": pse(a, answer); break;
            case "psetrust": pseTrust(a); break;
            case "auth": authenticate(a, group(a), answer); break;
            case "leavegroup": leaveGroup(a); break;
            case "handler": handler(a); break;
            case "query": query(a, answer); break;
            case "peerinfo": peerInfo(a, answer); break;
            default:
                if (!streams.dispatch(a, answer) && !trips.dispatch(a, answer) && !files.dispatch(a, answer)) {
                    throw new Refusal("unknown verb " + a.verb);
                }
        }
    }

    // ---------------------------------------------------------------- network

    private synchronized void start(Args a, Map<String, Object> answer) throws Exception {
        if (net != null) {
            throw new Refusal("already started");
        }
        long begin = System.currentTimeMillis();
        String role = a.text("role", "edge");
        File home = new File(a.need("home"));
        home.mkdirs();
        int port = (int) a.number("port", 0);
        if (port <= 0) {
            throw new Refusal("port is needed");
        }

        NetworkManager.ConfigMode template;
        boolean incoming = a.flag("incoming", true);
        String transport = a.text("transport", "tcp");
        boolean http = transport.equals("http");
        if (!http && !transport.equals("tcp")) {
            throw new Refusal("unknown transport " + transport);
        }
        int mode = http
                ? NetworkConfigurator.HTTP_CLIENT | (incoming ? NetworkConfigurator.HTTP_SERVER : 0)
                : NetworkConfigurator.TCP_CLIENT | (incoming ? NetworkConfigurator.TCP_SERVER : 0);
        if (role.equals("edge")) {
            template = NetworkManager.ConfigMode.EDGE;
            mode |= NetworkConfigurator.RDV_CLIENT;
        } else if (role.equals("rendezvous")) {
            template = NetworkManager.ConfigMode.RENDEZVOUS;
            mode |= NetworkConfigurator.RDV_SERVER;
        } else if (role.equals("adhoc")) {
            template = NetworkManager.ConfigMode.ADHOC;
            mode |= NetworkConfigurator.RDV_AD_HOC;
        } else {
            throw new Refusal("unknown role " + role);
        }
        String relay = a.text("relay", "false");
        if (relay.equals("client")) {
            mode |= NetworkConfigurator.RELAY_CLIENT;
        } else if (relay.equals("server")) {
            mode |= NetworkConfigurator.RELAY_SERVER;
        } else {
            mode |= NetworkConfigurator.RELAY_OFF;
        }

        manager = new NetworkManager(template, a.need("name"), home.toURI());
        manager.setUseDefaultSeeds(false);
        if (a.has("peerid")) {
            manager.setPeerID((PeerID) id(a.need("peerid")));
        }
        if (a.has("netid")) {
            manager.setInfrastructureID((PeerGroupID) id(a.need("netid")));
        }
        NetworkConfigurator config = manager.getConfigurator();
        config.setMode(mode);
        config.setName(a.need("name"));
        if (a.has("desc")) {
            config.setDescription(a.need("desc"));
        }
        if (a.has("netid")) {
            config.setInfrastructureID(id(a.need("netid")));
            config.setInfrastructureName(a.text("netname", "Test net"));
            config.setInfrastructureDescriptionStr(a.text("netdesc", "net group of a test"));
        }
        if (a.has("principal")) {
            config.setPrincipal(a.need("principal"));
            config.setPassword(a.need("password"));
        }
        config.setTcpEnabled(!http);
        config.setTcpIncoming(!http && incoming);
        config.setTcpOutgoing(!http);
        config.setTcpPort(port);
        config.setTcpStartPort(-1);
        config.setTcpEndPort(-1);
        config.setTcpInterfaceAddress("127.0.0.1");
        config.setTcpPublicAddress("127.0.0.1:" + port, true);
        config.setUseMulticast(a.flag("multicast", false));
        config.setHttpEnabled(http);
        if (http) {
            config.setHttpIncoming(incoming);
            config.setHttpOutgoing(true);
            config.setHttpPort(port);
            config.setHttpInterfaceAddress("127.0.0.1");
            config.setHttpPublicAddress("127.0.0.1:" + port, true);
        }
        config.clearRendezvousSeeds();
        config.clearRendezvousSeedingURIs();
        config.clearRelaySeeds();
        config.clearRelaySeedingURIs();
        for (String seed : a.list("seeds")) {
            config.addSeedRendezvous(URI.create(seed));
            if (relay.equals("client")) {
                config.addSeedRelay(URI.create(seed));
            }
        }
        config.setUseOnlyRendezvousSeeds(a.flag("useonlyseeds", false));
        if (a.has("lease")) {
            // The configurator has no method for it, but keeps what the configuration will hold.
            ((RdvConfigAdv) field(config, "rdvConfig")).setLeaseDuration(a.number("lease", 0));
        }

        net = manager.startNetwork();
        watch(net);
        answer.put("peerid", net.getPeerID().toString());
        answer.put("groupid", net.getPeerGroupID().toString());
        answer.put("name", net.getPeerName());
        answer.put("address", transport + "://127.0.0.1:" + port);
        answer.put("ms", System.currentTimeMillis() - begin);
        answer.put("xml", xml(net.getPeerAdvertisement()));
    }

    private synchronized void stop(Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        if (net != null) {
            for (Closer handle : handles.values()) {
                try {
                    handle.close();
                } catch (Exception ignored) {
                    // it is going away in any case
                }
            }
            handles.clear();
            handlers.clear();
            advListeners.clear();
            for (PeerGroup group : groups.values()) {
                if (!group.getPeerGroupID().equals(net.getPeerGroupID())) {
                    group.stopApp();
                    group.unref();
                }
            }
            groups.clear();
            manager.stopNetwork();
            net = null;
            manager = null;
        }
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    /** Remembers a group and reports its rendezvous events. */
    private void watch(final PeerGroup group) {
        final String gid = group.getPeerGroupID().toString();
        if (groups.put(gid, group) != null) {
            return;
        }
        RendezVousService service = group.getRendezVousService();
        if (service == null) {
            return;
        }
        service.addListener(new RendezvousListener() {
            public void rendezvousEvent(RendezvousEvent event) {
                int type = event.getType();
                Map<String, Object> report = event("rdv");
                report.put("type", type >= 0 && type < RDV_EVENTS.length ? RDV_EVENTS[type] : String.valueOf(type));
                report.put("peer", event.getPeer());
                report.put("group", gid);
                report.put("time", System.currentTimeMillis());
                print(report);
            }
        });
    }

    /** Keeps what JXTA would close when nobody references it, as long as the process lives. */
    void keep(Object it) {
        kept.add(it);
    }

    PeerGroup group(Args a) {
        if (net == null) {
            throw new Refusal("not started");
        }
        String gid = a.text("group", "");
        if (gid.isEmpty() || gid.equals("net")) {
            return net;
        }
        if (gid.equals("world")) {
            return net.getParentGroup();
        }
        PeerGroup group = groups.get(gid);
        if (group == null) {
            throw new Refusal("not in group " + gid);
        }
        return group;
    }

    private void self(Args a, Map<String, Object> answer) throws Exception {
        PeerGroup group = group(a);
        answer.put("peerid", group.getPeerID().toString());
        answer.put("groupid", group.getPeerGroupID().toString());
        answer.put("name", group.getPeerName());
        answer.put("xml", xml(group.getPeerAdvertisement()));
        answer.put("groupxml", group.getPeerGroupAdvertisement() == null ? null : xml(group.getPeerGroupAdvertisement()));
        answer.put("groups", new ArrayList<String>(groups.keySet()));
    }

    // ------------------------------------------------------------- rendezvous

    private void rdv(Args a, Map<String, Object> answer) {
        RendezVousService service = group(a).getRendezVousService();
        answer.put("rendezvous", service.isRendezVous());
        answer.put("connected", service.isConnectedToRendezVous() || service.isRendezVous());
        answer.put("status", String.valueOf(service.getRendezVousStatus()));
        answer.put("peers", connected(service));
        answer.put("leases", leases(service));
        answer.put("view", view(service));
    }

    private static List<String> connected(RendezVousService service) {
        List<String> result = new ArrayList<String>();
        for (ID peer : service.getConnectedPeerIDs()) {
            result.add(peer.toString());
        }
        return result;
    }

    private static List<String> view(RendezVousService service) {
        List<String> result = new ArrayList<String>();
        if (service.isRendezVous()) {
            for (RdvAdvertisement adv : service.getLocalWalkView()) {
                result.add(adv.getPeerID().toString());
            }
        }
        return result;
    }

    /** Leases are kept by the implementation only; the interface object and the service hide it in fields. */
    private static List<Object> leases(RendezVousService service) {
        List<Object> result = new ArrayList<Object>();
        try {
            Object provider = field(field(service, "impl"), "provider");
            if (provider instanceof StdRendezVousService) {
                for (ID peer : service.getConnectedPeerIDs()) {
                    PeerConnection connection = ((StdRendezVousService) provider).getPeerConnection(peer);
                    if (connection != null) {
                        Map<String, Object> lease = new LinkedHashMap<String, Object>();
                        lease.put("peer", peer.toString());
                        lease.put("name", connection.getPeerName());
                        lease.put("leftms", TimeUtils.toRelativeTimeMillis(connection.getLeaseEnd()));
                        lease.put("connected", connection.isConnected());
                        result.add(lease);
                    }
                }
            }
        } catch (Exception unknown) {
            unknown.printStackTrace();
        }
        return result;
    }

    private static Object field(Object object, String name) throws Exception {
        for (Class<?> type = object.getClass(); type != null; type = type.getSuperclass()) {
            for (Field field : type.getDeclaredFields()) {
                if (field.getName().equals(name)) {
                    field.setAccessible(true);
                    return field.get(object);
                }
            }
        }
        return object;
    }

    private void waitRdv(Args a, Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        RendezVousService service = group(a).getRendezVousService();
        long end = begin + a.number("timeout", 30000);
        while (connected(service).isEmpty()) {
            pause(end, "no rendezvous");
        }
        answer.put("peers", connected(service));
        answer.put("ms", System.currentTimeMillis() - begin);
        answer.put("connectedms", System.currentTimeMillis() - processStart);
    }

    private void waitClients(Args a, Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        RendezVousService service = group(a).getRendezVousService();
        long end = begin + a.number("timeout", 30000);
        while (connected(service).size() < a.number("count", 1)) {
            pause(end, "only " + connected(service).size() + " clients");
        }
        answer.put("peers", connected(service));
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    private void waitView(Args a, Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        RendezVousService service = group(a).getRendezVousService();
        long end = begin + a.number("timeout", 30000);
        while (view(service).size() < a.number("count", 1)) {
            pause(end, "only " + view(service).size() + " members in the view");
        }
        answer.put("view", view(service));
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    private static void pause(long end, String complaint) throws InterruptedException {
        if (System.currentTimeMillis() >= end) {
            throw new Refusal("timeout: " + complaint);
        }
        Thread.sleep(20);
    }

    private void rdvConnect(Args a) throws Exception {
        RendezVousService service = group(a).getRendezVousService();
        if (a.has("xml")) {
            service.connectToRendezVous((PeerAdvertisement) parse(a.need("xml")));
        } else {
            service.connectToRendezVous(new EndpointAddress(a.need("addr")));
        }
    }

    private void role(Args a, Map<String, Object> answer) {
        long begin = System.currentTimeMillis();
        switchRole(group(a).getRendezVousService(), a.need("to"));
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    private static void switchRole(RendezVousService service, String to) {
        if (to.equals("rendezvous")) {
            service.startRendezVous();
        } else if (to.equals("edge")) {
            service.stopRendezVous();
        } else {
            throw new Refusal("unknown role " + to);
        }
    }

    private void reconnect(Args a, Map<String, Object> answer) throws Exception {
        RendezVousService service = group(a).getRendezVousService();
        long begin = System.currentTimeMillis();
        List<Object> each = new ArrayList<Object>();
        for (long i = 0; i < a.number("count", 1); i++) {
            long started = System.currentTimeMillis();
            service.startRendezVous();
            service.stopRendezVous();
            while (connected(service).isEmpty()) {
                pause(started + a.number("timeout", 30000), "no rendezvous after " + i + " reconnections");
            }
            each.add(System.currentTimeMillis() - started);
        }
        answer.put("count", each.size());
        answer.put("ms", System.currentTimeMillis() - begin);
        answer.put("each", each);
    }

    // --------------------------------------------------------------- endpoint

    /** The transport of the net group or one of its parents: subgroups have none of their own. */
    private MessageTransport transport(PeerGroup group, String protocol) {
        for (PeerGroup at = group; at != null; at = at.getParentGroup()) {
            MessageTransport transport = at.getEndpointService().getMessageTransport(protocol);
            if (transport != null) {
                return transport;
            }
        }
        throw new Refusal("no transport " + protocol);
    }

    private void tcpDial(Args a, Map<String, Object> answer) throws Exception {
        MessageSender tcp = (MessageSender) transport(group(a), "tcp");
        EndpointAddress address = new EndpointAddress(a.need("addr"));
        long begin = System.currentTimeMillis();
        int opened = 0;
        int failed = 0;
        for (long i = 0; i < a.number("count", 1); i++) {
            Messenger messenger = tcp.getMessenger(address, null);
            if (messenger == null) {
                failed++;
                continue;
            }
            opened++;
            if (a.number("hold", 0) > 0) {
                Thread.sleep(a.number("hold", 0));
            }
            messenger.close();
        }
        answer.put("count", opened);
        answer.put("failed", failed);
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    private void ping(Args a, Map<String, Object> answer) throws Exception {
        EndpointService endpoint = group(a).getEndpointService();
        EndpointAddress address = a.has("peer")
                ? new EndpointAddress("jxta", id(a.need("peer")).getUniqueValue().toString(), null, null)
                : new EndpointAddress(a.need("addr"));
        answer.put("reached", endpoint.ping(address));
    }

    private void route(Args a, Map<String, Object> answer) throws Exception {
        MessageTransport router = transport(group(a), "jxta");
        RouteControl control = (RouteControl) router.transportControl(EndpointRouter.GET_ROUTE_CONTROL, null);
        if (a.has("peer")) {
            answer.put("xml", xml(control.getRouteInfo((PeerID) id(a.need("peer")))));
            return;
        }
        List<String> routes = new ArrayList<String>();
        for (RouteAdvertisement route : control.getAllRoutesInfo()) {
            routes.add(xml(route));
        }
        answer.put("routes", routes);
        answer.put("local", xml(control.getMyLocalRoute()));
    }

    // --------------------------------------------------------- advertisements

    private static String xml(Advertisement adv) {
        if (adv instanceof SignedAdvertisement) { // which the classes print only for its signer
            return "<!-- signed -->" + xml(((SignedAdvertisement) adv).getAdvertisement());
        }
        return adv.getDocument(MimeMediaType.XMLUTF8).toString();
    }

    static Advertisement parse(String xml) throws IOException {
        return AdvertisementFactory.newAdvertisement(MimeMediaType.XMLUTF8, new StringReader(xml));
    }

    static ID id(String text) throws Exception {
        return IDFactory.fromURI(new URI(text));
    }

    private static int kind(String name) {
        if (name.equals("peer")) {
            return DiscoveryService.PEER;
        } else if (name.equals("group")) {
            return DiscoveryService.GROUP;
        } else if (name.equals("adv")) {
            return DiscoveryService.ADV;
        }
        throw new Refusal("unknown kind " + name);
    }

    @SuppressWarnings("unchecked")
    private static <T extends Advertisement> T make(String type) {
        return (T) AdvertisementFactory.newAdvertisement(type);
    }

    private Advertisement makeAdvertisement(Args a) throws Exception {
        PeerGroup group = group(a);
        PeerGroupID gid = group.getPeerGroupID();
        String type = a.need("type");
        String name = a.text("name", null);
        String desc = a.text("desc", null);
        ID given = a.has("id") ? id(a.need("id")) : null;
        if (type.equals("peer")) {
            PeerAdvertisement adv = make(PeerAdvertisement.getAdvertisementType());
            adv.setPeerID(given == null ? IDFactory.newPeerID(gid) : (PeerID) given);
            adv.setPeerGroupID(gid);
            adv.setName(name);
            adv.setDescription(desc);
            return adv;
        } else if (type.equals("group")) {
            PeerGroupAdvertisement adv = make(PeerGroupAdvertisement.getAdvertisementType());
            adv.setPeerGroupID(given == null ? IDFactory.newPeerGroupID(gid) : (PeerGroupID) given);
            adv.setModuleSpecID(a.has("msid") ? (ModuleSpecID) id(a.need("msid")) : PeerGroup.allPurposePeerGroupSpecID);
            adv.setName(name);
            adv.setDescription(desc);
            return adv;
        } else if (type.equals("pipe")) {
            PipeAdvertisement adv = make(PipeAdvertisement.getAdvertisementType());
            adv.setPipeID(given == null ? IDFactory.newPipeID(gid) : given);
            adv.setType(a.text("pipetype", PipeService.UnicastType));
            adv.setName(name);
            if (desc != null) {
                adv.setDescription(desc);
            }
            return adv;
        } else if (type.equals("module")) {
            ModuleClassAdvertisement adv = make(ModuleClassAdvertisement.getAdvertisementType());
            adv.setModuleClassID(given == null ? IDFactory.newModuleClassID() : (ModuleClassID) given);
            adv.setName(name);
            adv.setDescription(desc);
            return adv;
        } else if (type.equals("modulespec")) {
            ModuleSpecAdvertisement adv = make(ModuleSpecAdvertisement.getAdvertisementType());
            adv.setModuleSpecID(given == null
                    ? IDFactory.newModuleSpecID(IDFactory.newModuleClassID()) : (ModuleSpecID) given);
            adv.setName(name);
            adv.setDescription(desc);
            adv.setCreator(a.text("creator", "driver"));
            adv.setSpecURI(a.text("specuri", "http://example.org/spec"));
            adv.setVersion(a.text("version", "1.0"));
            if (a.has("pipexml")) {
                adv.setPipeAdvertisement((PipeAdvertisement) parse(a.need("pipexml")));
            }
            return adv;
        } else if (type.equals("moduleimpl")) {
            ModuleImplAdvertisement adv = make(ModuleImplAdvertisement.getAdvertisementType());
            ID spec = given != null ? given : a.has("msid") ? id(a.need("msid"))
                    : IDFactory.newModuleSpecID(IDFactory.newModuleClassID());
            adv.setModuleSpecID((ModuleSpecID) spec);
            adv.setDescription(desc);
            adv.setCompat(group.getAllPurposePeerGroupImplAdvertisement().getCompat());
            adv.setCode(a.text("code", "example.Module"));
            adv.setUri(a.text("uri", "http://example.org/code"));
            adv.setProvider(a.text("provider", "driver"));
            return adv;
        }
        throw new Refusal("unknown type " + type);
    }

    private void publish(Args a, Advertisement adv, Map<String, Object> answer) throws Exception {
        DiscoveryService discovery = group(a).getDiscoveryService();
        long lifetime = a.number("lifetime", DiscoveryService.DEFAULT_LIFETIME);
        long expiration = a.number("expiration", DiscoveryService.DEFAULT_EXPIRATION);
        if (a.flag("local", true)) {
            discovery.publish(adv, lifetime, expiration);
        }
        if (a.has("peer")) {
            discovery.remotePublish(a.need("peer"), adv, expiration);
        } else if (a.flag("remote", false)) {
            discovery.remotePublish(adv, expiration);
        }
        answer.put("advid", String.valueOf(adv.getID()));
        answer.put("xml", xml(adv));
        answer.put("kind", adv instanceof PeerAdvertisement ? "peer" : adv instanceof PeerGroupAdvertisement ? "group" : "adv");
    }

    private void publishMany(Args a, Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        PeerGroup group = group(a);
        String name = a.text("name", "many");
        long count = a.number("count", 0);
        for (long i = 1; i <= count; i++) {
            PipeAdvertisement adv = make(PipeAdvertisement.getAdvertisementType());
            adv.setPipeID(IDFactory.newPipeID(group.getPeerGroupID()));
            adv.setType(a.text("pipetype", PipeService.UnicastType));
            adv.setName(name + "-" + i);
            group.getDiscoveryService().publish(adv);
        }
        answer.put("count", count);
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    private void parseOnly(Args a, Map<String, Object> answer) throws Exception {
        Advertisement adv = parse(a.need("xml"));
        answer.put("class", adv.getClass().getName());
        answer.put("advtype", adv.getAdvType());
        answer.put("advid", String.valueOf(adv.getID()));
        if (adv instanceof SignedAdvertisement) { // which the classes print only for its signer
            SignedAdvertisement signed = (SignedAdvertisement) adv;
            answer.put("inner", xml(signed.getAdvertisement()));
            answer.put("signer", String.valueOf(signed.getSigner().getPeerID()));
            return;
        }
        answer.put("xml", xml(adv));
    }

    private void search(Args a, Map<String, Object> answer) throws Exception {
        final List<Object> results = new ArrayList<Object>();
        final Set<String> documents = new HashSet<String>();
        final AtomicInteger responses = new AtomicInteger();
        final long begin = System.currentTimeMillis();
        DiscoveryListener listener = new DiscoveryListener() {
            public void discoveryEvent(DiscoveryEvent event) {
                DiscoveryResponseMsg response = event.getResponse();
                Enumeration<Advertisement> advertisements = response.getAdvertisements();
                Enumeration<Long> expirations = response.getExpirations();
                synchronized (results) {
                    responses.incrementAndGet();
                    while (advertisements.hasMoreElements()) {
                        String document = xml(advertisements.nextElement());
                        Map<String, Object> result = new LinkedHashMap<String, Object>();
                        result.put("xml", document);
                        result.put("expiration", expirations.hasMoreElements() ? expirations.nextElement() : null);
                        result.put("source", String.valueOf(event.getSource()));
                        result.put("queryid", event.getQueryID());
                        result.put("ms", System.currentTimeMillis() - begin);
                        results.add(result);
                        documents.add(document);
                    }
                    results.notifyAll();
                }
            }
        };
        DiscoveryService discovery = group(a).getDiscoveryService();
        long end = begin + a.number("timeout", 10000);
        long want = a.number("want", 0);
        long repeat = a.number("repeat", 0);
        long next = begin;
        synchronized (results) {
            for (long now = begin; now < end && (want <= 0 || documents.size() < want); now = System.currentTimeMillis()) {
                if (now >= next) {
                    next = repeat > 0 ? now + repeat : Long.MAX_VALUE;
                    discovery.getRemoteAdvertisements(a.text("peer", null), kind(a.need("kind")), a.text("attr", null),
                            a.text("value", null), (int) a.number("threshold", 10), listener);
                }
                results.wait(Math.max(1, Math.min(end, next) - System.currentTimeMillis()));
            }
            answer.put("count", documents.size());
            answer.put("responses", responses.get());
            answer.put("ms", System.currentTimeMillis() - begin);
            answer.put("results", new ArrayList<Object>(results));
        }
    }

    private void local(Args a, Map<String, Object> answer) throws Exception {
        DiscoveryService discovery = group(a).getDiscoveryService();
        List<Object> results = new ArrayList<Object>();
        Enumeration<Advertisement> found = discovery.getLocalAdvertisements(kind(a.need("kind")), a.text("attr", null),
                a.text("value", null));
        while (found.hasMoreElements()) {
            Advertisement adv = found.nextElement();
            Map<String, Object> result = new LinkedHashMap<String, Object>();
            result.put("xml", xml(adv));
            result.put("advid", String.valueOf(adv.getID()));
            result.put("lifetime", discovery.getAdvLifeTime(adv));
            result.put("expiration", discovery.getAdvExpirationTime(adv));
            results.add(result);
        }
        answer.put("count", results.size());
        answer.put("results", results);
    }

    private void flush(Args a, Map<String, Object> answer) throws Exception {
        DiscoveryService discovery = group(a).getDiscoveryService();
        int count = 0;
        Enumeration<Advertisement> found = discovery.getLocalAdvertisements(kind(a.need("kind")), a.text("attr", null),
                a.text("value", null));
        while (found.hasMoreElements()) {
            discovery.flushAdvertisement(found.nextElement());
            count++;
        }
        answer.put("count", count);
    }

    private void advEvents(Args a) {
        final PeerGroup group = group(a);
        DiscoveryListener old = advListeners.remove(group);
        if (old != null) {
            group.getDiscoveryService().removeDiscoveryListener(old);
        }
        if (!a.flag("on", true)) {
            return;
        }
        DiscoveryListener listener = new DiscoveryListener() {
            public void discoveryEvent(DiscoveryEvent event) {
                Map<String, Object> report = event("adv");
                report.put("group", group.getPeerGroupID().toString());
                report.put("queryid", event.getQueryID());
                report.put("source", String.valueOf(event.getSource()));
                List<String> documents = new ArrayList<String>();
                Enumeration<Advertisement> advertisements = event.getResponse().getAdvertisements();
                while (advertisements.hasMoreElements()) {
                    documents.add(xml(advertisements.nextElement()));
                }
                report.put("xml", documents);
                print(report);
            }
        };
        advListeners.put(group, listener);
        group.getDiscoveryService().addDiscoveryListener(listener);
    }

    private void newId(Args a, Map<String, Object> answer) throws Exception {
        PeerGroupID gid = group(a).getPeerGroupID();
        byte[] seed = a.has("seed") ? a.need("seed").getBytes(StandardCharsets.UTF_8) : null;
        String type = a.need("type");
        ID made;
        if (type.equals("peer")) {
            made = seed == null ? IDFactory.newPeerID(gid) : IDFactory.newPeerID(gid, seed);
        } else if (type.equals("group")) {
            made = seed == null ? IDFactory.newPeerGroupID(gid) : IDFactory.newPeerGroupID(gid, seed);
        } else if (type.equals("pipe")) {
            made = seed == null ? IDFactory.newPipeID(gid) : IDFactory.newPipeID(gid, seed);
        } else if (type.equals("codat")) {
            made = seed == null ? IDFactory.newCodatID(gid) : IDFactory.newCodatID(gid, seed);
        } else if (type.equals("module")) {
            made = a.has("base") ? IDFactory.newModuleClassID((ModuleClassID) id(a.need("base"))) : IDFactory.newModuleClassID();
        } else if (type.equals("modulespec")) {
            made = IDFactory.newModuleSpecID(
                    a.has("base") ? (ModuleClassID) id(a.need("base")) : IDFactory.newModuleClassID());
        } else {
            throw new Refusal("unknown type " + type);
        }
        answer.put("newid", made.toString());
    }

    // ------------------------------------------------------------------ pipes

    /** Something with a handle. */
    abstract static class Closer {
        abstract void close() throws Exception;

        /** Sends a message; false when the queue is full. */
        boolean send(Message message) throws Exception {
            throw new Refusal("nothing can be sent through this handle");
        }
    }

    String handle(Args a, Closer closer, String prefix) {
        String handle = a.text("as", prefix + handleNumber.incrementAndGet());
        if (handles.putIfAbsent(handle, closer) != null) {
            try {
                closer.close();
            } catch (Exception ignored) {
                // the complaint about the name matters more
            }
            throw new Refusal("handle in use: " + handle);
        }
        return handle;
    }

    Closer closer(String handle) {
        Closer found = handles.get(handle);
        if (found == null) {
            throw new Refusal("no handle " + handle);
        }
        return found;
    }

    private Counter counter(Args a) {
        Closer found = closer(a.need("pipe"));
        if (!(found instanceof Counter)) {
            throw new Refusal("nothing is received through handle " + a.need("pipe"));
        }
        return (Counter) found;
    }

    /** Receives messages, counts them and looks at their numbers. */
    private static class Counter extends Closer implements net.jxta.pipe.PipeMsgListener {
        volatile String handle;
        final boolean events;
        final String space;
        final String name;
        final int keep;
        final LinkedList<Message> kept = new LinkedList<Message>();
        BitSet seen = new BitSet();
        long count, first, last, max, outOfOrder, duplicates, distinct, unnumbered, badBody, bytes, firstMs, lastMs;

        Counter(Args a) {
            events = a.flag("events", false);
            String[] tag = splitTag(a.text("tag", "juxta:n"));
            space = tag[0];
            name = tag[1];
            keep = (int) a.number("keep", 16);
            reset();
        }

        synchronized void reset() {
            seen = new BitSet();
            kept.clear();
            count = max = outOfOrder = duplicates = distinct = unnumbered = badBody = bytes = firstMs = lastMs = 0;
            first = last = -1;
        }

        public void pipeMsgEvent(PipeMsgEvent event) {
            Message message = event.getMessage();
            if (message != null) {
                receive(message);
            }
        }

        void receive(Message message) {
            Long number = null;
            synchronized (this) {
                count++;
                lastMs = System.currentTimeMillis();
                if (firstMs == 0) {
                    firstMs = lastMs;
                }
                bytes += message.getByteLength();
                kept.add(message);
                while (kept.size() > keep) {
                    kept.removeFirst();
                }
                try {
                    MessageElement element = message.getMessageElement(space, name);
                    number = element == null ? null : Long.valueOf(element.toString().trim());
                } catch (NumberFormatException none) {
                    number = null;
                }
                if (number == null || number < 0 || number > 100000000) {
                    unnumbered++;
                } else {
                    if (first < 0) {
                        first = number;
                    }
                    if (seen.get(number.intValue())) {
                        duplicates++;
                    } else {
                        distinct++;
                        if (number < max) {
                            outOfOrder++;
                        }
                        seen.set(number.intValue());
                    }
                    max = Math.max(max, number);
                    last = number;
                    MessageElement body = message.getMessageElement("juxta", "body");
                    if (body != null && !Arrays.equals(body.getBytes(false), body(number, (int) body.getByteLength()))) {
                        badBody++;
                    }
                }
                notifyAll();
            }
            if (events) {
                Map<String, Object> report = event("message");
                report.put("pipe", handle);
                report.put("n", number);
                report.put("elements", elements(message));
                print(report);
            }
        }

        synchronized void report(Map<String, Object> answer) {
            answer.put("count", count);
            answer.put("first", first);
            answer.put("last", last);
            answer.put("outoforder", outOfOrder);
            answer.put("duplicates", duplicates);
            answer.put("distinct", distinct);
            answer.put("max", max);
            List<Object> missing = new ArrayList<Object>();
            for (int n = seen.nextClearBit(1); n < max && missing.size() < 100; n = seen.nextClearBit(n + 1)) {
                missing.add(n);
            }
            answer.put("missing", missing);
            answer.put("unnumbered", unnumbered);
            answer.put("badbody", badBody);
            answer.put("bytes", bytes);
            answer.put("firstms", firstMs);
            answer.put("lastms", lastMs);
        }

        @Override
        void close() throws Exception {
            // subclasses close what they receive from
        }
    }

    private static byte[] body(long number, int size) {
        byte[] body = new byte[size];
        for (int i = 0; i < size; i++) {
            body[i] = (byte) (number + i);
        }
        return body;
    }

    private static String[] splitTag(String tag) {
        int colon = tag.indexOf(':');
        return colon < 0 ? new String[] {"", tag} : new String[] {tag.substring(0, colon), tag.substring(colon + 1)};
    }

    private static List<Object> elements(Message message) {
        List<Object> result = new ArrayList<Object>();
        Message.ElementIterator each = message.getMessageElements();
        while (each.hasNext()) {
            MessageElement element = each.next();
            Map<String, Object> shown = new LinkedHashMap<String, Object>();
            shown.put("ns", each.getNamespace());
            shown.put("name", element.getElementName());
            shown.put("mime", element.getMimeType().toString());
            byte[] content = element.getBytes(false);
            shown.put("bytes", content.length);
            if (content.length <= MAX_TEXT) {
                shown.put("text", new String(content, StandardCharsets.UTF_8));
            }
            result.add(shown);
        }
        return result;
    }

    private void inPipe(Args a, Map<String, Object> answer) throws Exception {
        PipeAdvertisement adv = (PipeAdvertisement) parse(a.need("xml"));
        final InputPipe[] pipe = new InputPipe[1];
        Counter counter = new Counter(a) {
            @Override
            void close() {
                if (pipe[0] != null) {
                    pipe[0].close();
                }
            }
        };
        counter.handle = handle(a, counter, "in");
        try {
            pipe[0] = group(a).getPipeService().createInputPipe(adv, counter);
        } catch (Exception failed) {
            handles.remove(counter.handle);
            throw failed;
        }
        answer.put("pipe", counter.handle);
        answer.put("pipeid", adv.getPipeID().toString());
        answer.put("pipetype", adv.getType());
    }

    private void waitPipe(Args a, Map<String, Object> answer) throws Exception {
        Counter counter = counter(a);
        long want = a.number("count", 1);
        long end = System.currentTimeMillis() + a.number("timeout", 30000);
        boolean reached;
        synchronized (counter) {
            for (;;) {
                reached = counter.distinct + counter.unnumbered >= want;
                long left = end - System.currentTimeMillis();
                if (reached || left <= 0) {
                    break;
                }
                counter.wait(left);
            }
        }
        counter.report(answer);
        answer.put("reached", reached);
    }

    private void got(Args a, Map<String, Object> answer) {
        Counter counter = counter(a);
        List<Object> messages = new ArrayList<Object>();
        synchronized (counter) {
            int from = (int) Math.max(0, counter.kept.size() - a.number("last", 1));
            for (Message message : counter.kept.subList(from, counter.kept.size())) {
                messages.add(elements(message));
            }
        }
        answer.put("messages", messages);
    }

    private void outPipe(Args a, Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        PipeAdvertisement adv = (PipeAdvertisement) parse(a.need("xml"));
        PipeService service = group(a).getPipeService();
        long timeout = a.number("timeout", 30000);
        final OutputPipe pipe;
        if (a.has("peers")) {
            Set<ID> peers = new HashSet<ID>();
            for (String peer : a.list("peers")) {
                peers.add(id(peer));
            }
            pipe = service.createOutputPipe(adv, peers, timeout);
        } else {
            pipe = service.createOutputPipe(adv, timeout);
        }
        Closer closer = new Closer() {
            @Override
            void close() {
                pipe.close();
            }

            @Override
            boolean send(Message message) throws IOException {
                return pipe.send(message);
            }
        };
        answer.put("pipe", handle(a, closer, "out"));
        answer.put("pipeid", adv.getPipeID().toString());
        answer.put("pipetype", adv.getType());
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    private void send(Args a, Map<String, Object> answer) throws Exception {
        Closer pipe = closer(a.need("pipe"));
        long count = a.number("count", 1);
        int size = (int) a.number("size", 0);
        long rate = a.number("rate", 0);
        long first = a.number("first", 1);
        String[] tag = splitTag(a.text("tag", "juxta:n"));
        long begin = System.currentTimeMillis();
        long end = begin + a.number("timeout", 60000);
        long refused = 0;
        for (long i = 0; i < count; i++) {
            Message message = new Message();
            message.addMessageElement(tag[0], new StringMessageElement(tag[1], Long.toString(first + i), null));
            if (size > 0) {
                message.addMessageElement("juxta",
                        new ByteArrayMessageElement("body", MimeMediaType.AOS, body(first + i, size), null));
            }
            while (!pipe.send(message)) {
                refused++;
                pause(end, "sent " + i + " messages, refused " + refused);
            }
            if (rate > 0) {
                long due = begin + (i + 1) * 1000 / rate;
                Thread.sleep(Math.max(0, due - System.currentTimeMillis()));
            }
        }
        answer.put("sent", count);
        answer.put("refused", refused);
        answer.put("ms", System.currentTimeMillis() - begin);
        answer.put("last", first + count - 1);
    }

    private void sendText(Args a, Map<String, Object> answer) throws Exception {
        Message message = new Message();
        for (Map.Entry<String, String> entry : a.values.entrySet()) {
            if (entry.getKey().indexOf(':') < 0) {
                continue;
            }
            String[] tag = splitTag(entry.getKey());
            MessageElement element;
            if (a.has("mime")) {
                element = new ByteArrayMessageElement(tag[1], new MimeMediaType(a.need("mime")),
                        entry.getValue().getBytes(StandardCharsets.UTF_8), null);
            } else {
                element = new StringMessageElement(tag[1], entry.getValue(), null);
            }
            message.addMessageElement(tag[0], element);
        }
        answer.put("bytes", message.getByteLength());
        long end = System.currentTimeMillis() + a.number("timeout", 60000);
        while (!closer(a.need("pipe")).send(message)) {
            pause(end, "refused");
        }
        answer.put("sent", 1);
    }

    private void close(Args a) throws Exception {
        Closer closer = closer(a.need("pipe"));
        handles.remove(a.need("pipe"));
        closer.close();
    }

    // --------------------------------------------- bidirectional pipes, sockets

    /** One end of a bidirectional pipe. */
    private static final class BiDi extends Counter implements net.jxta.util.PipeEventListener {
        volatile JxtaBiDiPipe pipe;
        final boolean echo;

        BiDi(Args a, boolean echo) {
            super(a);
            this.echo = echo;
        }

        @Override
        void receive(Message message) {
            super.receive(message);
            if (echo && pipe != null) {
                try {
                    pipe.sendMessage(message.clone());
                } catch (IOException failed) {
                    failed.printStackTrace();
                }
            }
        }

        @Override
        boolean send(Message message) throws IOException {
            return pipe.sendMessage(message);
        }

        @Override
        void close() throws IOException {
            if (pipe != null) {
                pipe.close();
            }
        }

        /** Reports the end of the pipe; JXTA tells it once, whoever closed. */
        public void pipeEvent(int what) {
            if (what == JxtaBiDiPipe.PIPE_CLOSED_EVENT) {
                Map<String, Object> report = event("bidiclosed");
                report.put("pipe", handle);
                print(report);
            }
        }
    }

    private static void accepted(String handle, PeerAdvertisement peer, Object cred) {
        Map<String, Object> report = event("accept");
        report.put("pipe", handle);
        report.put("peer", peer == null ? null : peer.getPeerID().toString());
        report.put("cred", cred == null ? null : cred.toString());
        print(report);
    }

    private void biServe(final Args a, Map<String, Object> answer) throws Exception {
        final JxtaServerPipe server = new JxtaServerPipe(group(a), (PipeAdvertisement) parse(a.need("xml")));
        server.setPipeTimeout(0);
        final boolean echo = a.flag("echo", true);
        final String handle = handle(a, new Closer() {
            @Override
            void close() throws IOException {
                server.close();
            }
        }, "biserver");
        Thread acceptor = new Thread("accept " + handle) {
            @Override
            public void run() {
                for (int number = 1; !server.isClosed(); number++) {
                    try {
                        JxtaBiDiPipe pipe = server.accept();
                        if (pipe == null) {
                            return;
                        }
                        BiDi end = new BiDi(a, echo);
                        end.handle = handle + "." + number;
                        end.pipe = pipe;
                        handles.put(end.handle, end);
                        pipe.setPipeEventListener(end);
                        accepted(end.handle, pipe.getRemotePeerAdvertisement(), pipe.getCredentialDoc());
                        pipe.setMessageListener(end);
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

    private void biDial(Args a, Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        BiDi end = new BiDi(a, false);
        JxtaBiDiPipe pipe = new JxtaBiDiPipe();
        if (a.has("cred")) {
            pipe.setCredentialDoc((XMLDocument) StructuredDocumentFactory.newStructuredDocument(
                    MimeMediaType.XMLUTF8, new StringReader(a.need("cred"))));
        }
        pipe.setPipeEventListener(end);
        pipe.connect(group(a), a.has("peer") ? (PeerID) id(a.need("peer")) : null,
                (PipeAdvertisement) parse(a.need("xml")), (int) a.number("timeout", 30000), end, a.flag("reliable", true));
        end.pipe = pipe;
        end.handle = handle(a, end, "bi");
        answer.put("pipe", end.handle);
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    private void sockServe(Args a, Map<String, Object> answer) throws Exception {
        final JxtaServerSocket server = new JxtaServerSocket(group(a), (PipeAdvertisement) parse(a.need("xml")), 50, 0);
        final String handle = handle(a, new Closer() {
            @Override
            void close() throws IOException {
                server.close();
            }
        }, "sockserver");
        Thread acceptor = new Thread("accept " + handle) {
            @Override
            public void run() {
                while (!server.isClosed()) {
                    try {
                        final java.net.Socket socket = server.accept();
                        if (socket == null) {
                            return;
                        }
                        accepted(handle, null, null);
                        Thread echo = new Thread("echo " + handle) {
                            @Override
                            public void run() {
                                try {
                                    byte[] buffer = new byte[16384];
                                    for (int n; (n = socket.getInputStream().read(buffer)) >= 0;) {
                                        socket.getOutputStream().write(buffer, 0, n);
                                        socket.getOutputStream().flush();
                                    }
                                    socket.close();
                                } catch (IOException failed) {
                                    failed.printStackTrace();
                                }
                            }
                        };
                        echo.setDaemon(true);
                        echo.start();
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

    private void sockEcho(Args a, Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        int timeout = (int) a.number("timeout", 30000);
        final JxtaSocket socket = new JxtaSocket(group(a), a.has("peer") ? (PeerID) id(a.need("peer")) : null,
                (PipeAdvertisement) parse(a.need("xml")), timeout, true);
        socket.setSoTimeout(timeout);
        final byte[] sent = body(1, (int) a.number("size", 1024));
        Thread writer = new Thread("write") {
            @Override
            public void run() {
                try {
                    socket.getOutputStream().write(sent);
                    socket.getOutputStream().flush();
                } catch (IOException failed) {
                    failed.printStackTrace();
                }
            }
        };
        writer.setDaemon(true);
        writer.start();
        byte[] back = new byte[sent.length];
        int got = 0;
        for (int n; got < back.length && (n = socket.getInputStream().read(back, got, back.length - got)) >= 0;) {
            got += n;
        }
        socket.close();
        answer.put("same", Arrays.equals(sent, back));
        answer.put("received", got);
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    // ----------------------------------------------------------------- groups

    private void createGroup(Args a, Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        PeerGroup parent = group(a);
        ModuleImplAdvertisement impl = parent.getAllPurposePeerGroupImplAdvertisement().clone();
        String membership = a.text("membership", "none");
        PeerGroupID gid = a.has("id") ? (PeerGroupID) id(a.need("id")) : IDFactory.newPeerGroupID(parent.getPeerGroupID());
        PeerGroupAdvertisement adv = make(PeerGroupAdvertisement.getAdvertisementType());
        adv.setPeerGroupID(gid);
        adv.setName(a.need("name"));
        adv.setDescription(a.text("desc", null));
        if (!membership.equals("none")) {
            useMembership(parent, impl, membership);
            if (membership.equals("passwd")) {
                XMLDocument parm = (XMLDocument) StructuredDocumentFactory.newStructuredDocument(
                        MimeMediaType.XMLUTF8, "Parm");
                String login = a.need("user") + ":" + PasswdMembershipService.makePsswd(a.need("pass")) + ":";
                parm.appendChild(parm.createElement("login", login));
                adv.putServiceParam(PeerGroup.membershipClassID, parm);
            } else if (a.has("parm")) {
                adv.putServiceParam(PeerGroup.membershipClassID, (XMLDocument) StructuredDocumentFactory.newStructuredDocument(
                        MimeMediaType.XMLUTF8, new StringReader(a.need("parm"))));
            }
        }
        adv.setModuleSpecID(impl.getModuleSpecID());
        DiscoveryService discovery = parent.getDiscoveryService();
        discovery.publish(impl);
        PeerGroup group = parent.newGroup(adv);
        started(a, group, answer);
        if (a.flag("publish", true)) {
            discovery.publish(adv);
            if (a.flag("remote", true)) {
                discovery.remotePublish(impl);
                discovery.remotePublish(adv);
            }
        }
        answer.put("implxml", xml(impl));
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    /** Gives the group implementation another membership service, and with it another specification id. */
    private void useMembership(PeerGroup parent, ModuleImplAdvertisement impl, String membership) throws Exception {
        ModuleImplAdvertisement service = make(ModuleImplAdvertisement.getAdvertisementType());
        service.setCompat(impl.getCompat());
        service.setUri(impl.getUri());
        service.setProvider(impl.getProvider());
        if (membership.equals("pse")) {
            service.setModuleSpecID(PSEMembershipService.pseMembershipSpecID);
            service.setCode(PSEMembershipService.class.getName());
            service.setDescription("PSE Membership Service");
        } else if (membership.equals("passwd")) {
            service.setModuleSpecID(PasswdMembershipService.passwordMembershipSpecID);
            service.setCode(PasswdMembershipService.class.getName());
            service.setDescription("Passwd Membership Service");
        } else {
            throw new Refusal("unknown membership " + membership);
        }
        StdPeerGroupParamAdv param = new StdPeerGroupParamAdv(impl.getParam());
        Map<ModuleClassID, Object> services = param.getServices();
        services.put(PeerGroup.membershipClassID, service);
        param.setServices(services);
        impl.setParam((XMLElement) param.getDocument(MimeMediaType.XMLUTF8));
        impl.setModuleSpecID(IDFactory.newModuleSpecID(impl.getModuleSpecID().getBaseClass()));
    }

    private void joinGroup(Args a, Map<String, Object> answer) throws Exception {
        long begin = System.currentTimeMillis();
        PeerGroup parent = group(a);
        if (a.has("implxml")) {
            parent.getDiscoveryService().publish(parse(a.need("implxml")));
        }
        PeerGroup group = a.has("xml") ? parent.newGroup(parse(a.need("xml")))
                : parent.newGroup((PeerGroupID) id(a.need("groupid")));
        started(a, group, answer);
        if (a.has("user")) {
            authenticate(a, group, answer);
        } else {
            answer.put("joined", group.getMembershipService().getDefaultCredential() != null);
            answer.put("membership", group.getMembershipService().getImplAdvertisement() == null ? null
                    : ((ModuleImplAdvertisement) group.getMembershipService().getImplAdvertisement()).getCode());
        }
        answer.put("ms", System.currentTimeMillis() - begin);
    }

    private void started(Args a, PeerGroup group, Map<String, Object> answer) {
        int result = group.startApp(new String[0]);
        watch(group);
        if (a.flag("rdv", false)) {
            group.getRendezVousService().startRendezVous();
        }
        answer.put("groupid", group.getPeerGroupID().toString());
        answer.put("name", group.getPeerGroupName());
        answer.put("xml", xml(group.getPeerGroupAdvertisement()));
        answer.put("started", result == 0);
    }

    private void authenticate(Args a, PeerGroup group, Map<String, Object> answer) throws Exception {
        MembershipService membership = group.getMembershipService();
        ModuleImplAdvertisement impl = (ModuleImplAdvertisement) membership.getImplAdvertisement();
        answer.put("membership", impl == null ? null : impl.getCode());
        String code = impl == null ? "" : impl.getCode();
        boolean keyed = code.contains("PSEMembership");
        AuthenticationCredential request = new AuthenticationCredential(group, keyed ? "StringAuthentication" : null, null);
        Authenticator authenticator = membership.apply(request);
        if (authenticator instanceof PasswdMembershipService.PasswdAuthenticator) {
            PasswdMembershipService.PasswdAuthenticator passwd =
                    (PasswdMembershipService.PasswdAuthenticator) authenticator;
            passwd.setAuth1Identity(a.need("user"));
            passwd.setAuth2_Password(a.need("pass"));
        } else if (authenticator instanceof StringAuthenticator) {
            StringAuthenticator pse =
                    (StringAuthenticator) authenticator;
            pse.setAuth1_KeyStorePassword(a.need("pass").toCharArray());
            pse.setAuth2Identity(group.getPeerID());
            pse.setAuth3_IdentityPassword(a.need("pass").toCharArray());
        }
        boolean ready = authenticator != null && authenticator.isReadyForJoin();
        Credential credential = null;
        if (ready) {
            credential = membership.join(authenticator);
        }
        answer.put("joined", credential != null);
        answer.put("credential", credential == null ? null : credential.getDocument(MimeMediaType.XMLUTF8).toString());
    }

    private void pse(Args a, Map<String, Object> answer) throws Exception {
        PSEMembershipService membership = (PSEMembershipService) ((MembershipService) group(a).getMembershipService());
        List<String> chain = new ArrayList<String>();
        PSECredential credential = (PSECredential) membership.getDefaultCredential();
        if (credential == null) {
            throw new Refusal("not authenticated");
        }
        for (java.security.cert.X509Certificate one : credential.getCertificateChain()) {
            chain.add(java.util.Base64.getEncoder().encodeToString(one.getEncoded()));
        }
        answer.put("chain", chain);
        List<String> trusted = new ArrayList<String>();
        for (ID one : membership.getPSEConfig().getTrustedCertsList()) {
            trusted.add(one.toString());
        }
        answer.put("trusted", trusted);
    }

    private void pseTrust(Args a) throws Exception {
        PSEMembershipService membership = (PSEMembershipService) ((MembershipService) group(a).getMembershipService());
        byte[] der = java.util.Base64.getDecoder().decode(a.need("cert"));
        membership.getPSEConfig().setTrustedCertificate(ID.create(new URI(a.need("id"))),
                (java.security.cert.X509Certificate) java.security.cert.CertificateFactory.getInstance("X.509")
                        .generateCertificate(new java.io.ByteArrayInputStream(der)));
    }

    private void leaveGroup(Args a) {
        PeerGroup group = group(a);
        if (group == net) {
            throw new Refusal("that is the net group");
        }
        groups.remove(group.getPeerGroupID().toString());
        group.stopApp();
        group.unref();
    }

    // --------------------------------------------------------------- resolver

    private void handler(final Args a) {
        final PeerGroup group = group(a);
        final String name = a.need("name");
        final ResolverService resolver = group.getResolverService();
        String key = group.getPeerGroupID() + name;
        if (handlers.remove(key) != null) {
            resolver.unregisterHandler(name);
        }
        if (!a.flag("on", true)) {
            return;
        }
        final String text = a.text("answer", null);
        final boolean repeat = a.flag("repeat", false);
        QueryHandler handler = new QueryHandler() {
            public int processQuery(ResolverQueryMsg query) {
                Map<String, Object> report = event("query");
                report.put("group", group.getPeerGroupID().toString());
                report.put("handler", name);
                report.put("source", String.valueOf(query.getSrcPeer()));
                report.put("queryid", query.getQueryId());
                report.put("hops", query.getHopCount());
                report.put("query", query.getQuery());
                print(report);
                if (text != null) {
                    ResolverResponseMsg response = query.makeResponse();
                    response.setResponse(text.replace("{}", String.valueOf(query.getQuery())));
                    resolver.sendResponse(query.getSrcPeer().toString(), response);
                }
                return repeat ? ResolverService.Repropagate : ResolverService.OK;
            }

            public void processResponse(ResolverResponseMsg response) {
                // 'query' has its own handler
            }
        };
        handlers.put(key, handler);
        resolver.registerHandler(name, handler);
    }

    private void query(Args a, Map<String, Object> answer) throws Exception {
        final List<Object> results = new ArrayList<Object>();
        PeerGroup group = group(a);
        ResolverService resolver = group.getResolverService();
        String name = a.need("handler");
        final QueryHandler mine = new QueryHandler() {
            public int processQuery(ResolverQueryMsg query) {
                return ResolverService.OK;
            }

            public void processResponse(ResolverResponseMsg response) {
                Map<String, Object> result = new LinkedHashMap<String, Object>();
                result.put("queryid", response.getQueryId());
                result.put("text", response.getResponse());
                synchronized (results) {
                    results.add(result);
                    results.notifyAll();
                }
            }
        };
        QueryHandler old = a.flag("takeover", false) ? resolver.unregisterHandler(name) : null;
        if (handlers.containsKey(group.getPeerGroupID() + name)) {
            throw new Refusal("a 'handler' of that name is in place");
        }
        resolver.registerHandler(name, mine);
        long begin = System.currentTimeMillis();
        try {
            ResolverQuery query = new ResolverQuery(name, null, group.getPeerID().toString(), a.text("text", ""),
                    (int) (begin & 0x7fffffff));
            resolver.sendQuery(a.text("peer", null), query);
            long end = begin + a.number("timeout", 10000);
            synchronized (results) {
                while (results.size() < a.number("want", 1) && System.currentTimeMillis() < end) {
                    results.wait(Math.max(1, end - System.currentTimeMillis()));
                }
                answer.put("count", results.size());
                answer.put("ms", System.currentTimeMillis() - begin);
                answer.put("results", new ArrayList<Object>(results));
            }
        } finally {
            resolver.unregisterHandler(name);
            if (old != null) {
                resolver.registerHandler(name, old);
            }
        }
    }

    private void peerInfo(Args a, Map<String, Object> answer) {
        if (a.has("peer")) {
            throw new Refusal("a 2.5 peer neither asks nor answers; use query");
        }
        net.jxta.peer.PeerInfoService service = group(a).getPeerInfoService();
        answer.put("available", service.isLocalMonitoringAvailable());
        answer.put("runningtime", service.getPeerMonitorInfo().getRunningTime());
        answer.put("lastreset", service.getPeerMonitorInfo().getLastResetTime());
    }

    // ------------------------------------------------------- lines and answers

    /** A command that cannot be carried out for a plain reason; no stack trace is wanted. */
    static final class Refusal extends RuntimeException {
        Refusal(String message) {
            super(message);
        }
    }

    private static String describe(Throwable failed) {
        StringBuilder text = new StringBuilder();
        for (Throwable at = failed; at != null && text.length() < 2000; at = at.getCause()) {
            if (text.length() > 0) {
                text.append("; caused by ");
            }
            text.append(at instanceof Refusal ? at.getMessage() : at.toString());
        }
        return text.toString();
    }

    /** One command line, taken apart. */
    static final class Args {
        final String id;
        final String verb;
        final Map<String, String> values = new LinkedHashMap<String, String>();

        Args(String line) {
            String[] words = line.trim().split(" +");
            id = words[0];
            verb = words.length > 1 ? words[1] : "";
            for (int i = 2; i < words.length; i++) {
                int equals = words[i].indexOf('=');
                String key = equals < 0 ? words[i] : words[i].substring(0, equals);
                String value = equals < 0 ? "true" : words[i].substring(equals + 1);
                values.put(decode(key), decode(value));
            }
        }

        private static String decode(String text) {
            try {
                return URLDecoder.decode(text.replace("+", "%2B"), "UTF-8");
            } catch (Exception bad) {
                return text;
            }
        }

        boolean has(String key) {
            return values.containsKey(key);
        }

        String text(String key, String otherwise) {
            String value = values.get(key);
            return value == null ? otherwise : value;
        }

        String need(String key) {
            String value = values.get(key);
            if (value == null) {
                throw new Refusal(verb + " needs " + key + "=");
            }
            return value;
        }

        long number(String key, long otherwise) {
            String value = values.get(key);
            return value == null ? otherwise : Long.parseLong(value.trim());
        }

        boolean flag(String key, boolean otherwise) {
            String value = values.get(key);
            return value == null ? otherwise : Boolean.parseBoolean(value);
        }

        List<String> list(String key) {
            String value = values.get(key);
            return value == null || value.isEmpty() ? Collections.<String>emptyList() : Arrays.asList(value.split(","));
        }
    }

    static Map<String, Object> event(String name) {
        Map<String, Object> report = new LinkedHashMap<String, Object>();
        report.put("event", name);
        return report;
    }

    static void print(Map<String, Object> object) {
        StringBuilder text = new StringBuilder();
        json(text, object);
        synchronized (Driver.class) {
            out.print(text.append('\n'));
            out.flush();
        }
    }

    private static void json(StringBuilder text, Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) {
            text.append(value);
        } else if (value instanceof Map) {
            String separator = "{";
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                text.append(separator);
                json(text, entry.getKey());
                text.append(':');
                json(text, entry.getValue());
                separator = ",";
            }
            text.append(separator.equals("{") ? "{}" : "}");
        } else if (value instanceof List) {
            String separator = "[";
            for (Object each : (List<?>) value) {
                text.append(separator);
                json(text, each);
                separator = ",";
            }
            text.append(separator.equals("[") ? "[]" : "]");
        } else {
            text.append('"');
            String string = value.toString();
            for (int i = 0; i < string.length(); i++) {
                char c = string.charAt(i);
                if (c == '"' || c == '\\') {
                    text.append('\\').append(c);
                } else if (c >= 0x20 && c < 0x7f) {
                    text.append(c);
                } else {
                    text.append(String.format("\\u%04x", (int) c));
                }
            }
            text.append('"');
        }
    }
}
