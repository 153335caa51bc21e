import io.trino.cli.lexer.StatementSplitter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;

/** Splits scripts as Trino's command line does with --file: one line for each statement. */
public class TrinoSplit {
    public static void main(String[] paths) throws Exception {
        for (String path : paths) {
            System.out.println("= " + path);
            byte[] bytes = Files.readAllBytes(Path.of(path));
            String script = new String(bytes, StandardCharsets.UTF_8) + "\n;";
            for (var statement : new StatementSplitter(script).getCompleteStatements()) {
                byte[] text = statement.statement().getBytes(StandardCharsets.UTF_8);
                System.out.println(HexFormat.of().formatHex(text));
            }
        }
    }
}
