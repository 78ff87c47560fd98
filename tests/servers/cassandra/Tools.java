import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.Permission;
import org.apache.cassandra.tools.INodeProbeFactory;
import org.apache.cassandra.tools.NodeProbe;
import org.apache.cassandra.tools.NodeTool;
import org.apache.cassandra.tools.Output;

/**
 * Cassandra's own nodetool for many callers, in one Java that has started already: a start takes longer than all that nodetool does, and
 * tests call it hundreds of times. {@code Tools PORT} listens on loopback. A caller ({@code nodetool} beside this) sends how many words there
 * are as a line and each word with a zero byte after it; it is answered with a line of three numbers, the exit code and the lengths of what
 * nodetool has said and of what it has complained of, and then both.
 */
@SuppressWarnings("removal")
final class Tools {
    /** What ends a process elsewhere and only a call here. */
    private static final class Exit extends Error {
        final int code;

        Exit(int code) {
            super(null, null, false, false);
            this.code = code;
        }
    }

    /** Makes connections as nodetool does; its own factory is not for others. */
    private static final class Probes implements INodeProbeFactory {
        @Override
        public NodeProbe create(String host, int port) throws IOException {
            return new NodeProbe(host, port);
        }

        @Override
        public NodeProbe create(String host, int port, String account, String password) throws IOException {
            return new NodeProbe(host, port, account, password);
        }
    }

    /** Nodetool, to which an exit is no failure that has to be told. */
    private static final class Call extends NodeTool {
        private Exit exit;

        Call(Output output) {
            super(new Probes(), output);
        }

        @Override
        protected void err(Throwable error) {
            if (error instanceof Exit) {
                exit = (Exit) error;
            } else {
                super.err(error);
            }
        }

        /** What a Java of its own would end with, and would say on its standard error of what nodetool has not caught. */
        int code(PrintStream complained, String... words) {
            try {
                int code = execute(words);
                return exit == null ? code : exit.code;
            } catch (RuntimeException uncaught) {
                complained.println("Exception in thread \"main\" " + uncaught);
                return 1;
            }
        }
    }

    public static void main(String[] arguments) throws IOException {
        System.setSecurityManager(new SecurityManager() {
            @Override
            public void checkPermission(Permission permission) {
            }

            @Override
            public void checkPermission(Permission permission, Object context) {
            }

            @Override
            public void checkExit(int code) {
                throw new Exit(code);
            }
        });
        try (ServerSocket server = new ServerSocket(Integer.parseInt(arguments[0]), 64, InetAddress.getLoopbackAddress())) {
            while (true) {
                Socket caller = server.accept();
                new Thread(() -> answer(caller)).start();
            }
        }
    }

    private static void answer(Socket caller) {
        try (caller) {
            DataInputStream input = new DataInputStream(caller.getInputStream());
            String[] words = new String[Integer.parseInt(upTo('\n', input))];
            for (int at = 0; at < words.length; at++) {
                words[at] = upTo('\0', input);
            }
            ByteArrayOutputStream said = new ByteArrayOutputStream();
            ByteArrayOutputStream complained = new ByteArrayOutputStream();
            PrintStream error = new PrintStream(complained, true);
            int code = new Call(new Output(new PrintStream(said, true), error)).code(error, words);
            OutputStream output = caller.getOutputStream();
            output.write((code + " " + said.size() + " " + complained.size() + "\n").getBytes(StandardCharsets.UTF_8));
            said.writeTo(output);
            complained.writeTo(output);
        } catch (IOException gone) {
            // Whoever asked has been ended by a test.
        }
    }

    private static String upTo(char end, DataInputStream input) throws IOException {
        ByteArrayOutputStream word = new ByteArrayOutputStream();
        for (int next = input.readUnsignedByte(); next != end; next = input.readUnsignedByte()) {
            word.write(next);
        }
        return word.toString(StandardCharsets.UTF_8);
    }
}
