import java.util.HexFormat;
import java.util.Random;

import org.apache.cassandra.io.sstable.CQLSSTableWriter;

/** Writes SSTables of subscribers' data for `benches/cassandra`: FOLDER, TABLE, ROWS, how many MiB are collected for each SSTable. */
public final class Fill {
    public static void main(String[] args) throws Exception {
        String table = "bench." + args[1];
        String create = "CREATE TABLE " + table + " (private_id text, public_id text, digest_ha1 text, service_profile text, changed bigint,"
                + " PRIMARY KEY (private_id, public_id))";
        String insert = "INSERT INTO " + table + " (private_id, public_id, digest_ha1, service_profile, changed) VALUES (?, ?, ?, ?, ?)";
        CQLSSTableWriter writer = CQLSSTableWriter.builder().inDirectory(args[0]).forTable(create).using(insert)
                .withBufferSizeInMiB(Integer.parseInt(args[3])).build();
        Random random = new Random(args[1].hashCode());
        byte[] digest = new byte[16], token = new byte[256];
        for (long row = 0; row < Long.parseLong(args[2]); row++) {
            random.nextBytes(digest);
            random.nextBytes(token);
            String number = String.valueOf(6505550000L + random.nextInt(1 << 30));
            String profile = "<IMSSubscription><PrivateID>" + number + "@example.com</PrivateID><ServiceProfile><PublicIdentity><Identity>sip:"
                    + number + "@example" + row % 97 + ".com</Identity></PublicIdentity><InitialFilterCriteria><Priority>" + row % 7
                    + "</Priority><ApplicationServer><ServerName>sip:mmtel" + row % 13 + ".example.com;key=" + HexFormat.of().formatHex(token)
                    + "</ServerName><DefaultHandling>0</DefaultHandling></ApplicationServer></InitialFilterCriteria></ServiceProfile></IMSSubscription>";
            writer.addRow(number + "@example.com", "sip:" + number, HexFormat.of().formatHex(digest), profile, row);
        }
        writer.close();
        System.exit(0);
    }
}
