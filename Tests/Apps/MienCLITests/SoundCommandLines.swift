import mien

/// Command lines that are read as they stand: the examples of all helps, and more where those have few options.
enum SoundCommandLines {
    /// Those whose words name this command, and none below it.
    static func lines(of words: [String]) -> [[String]] { byCommand[words] ?? [] }

    private static let byCommand: [[String]: [[String]]] = {
        let shown = CommandOutline.all.flatMap { examples(in: $0.discussion) }
        return Dictionary(grouping: shown + further) { line -> [String] in
            let named = CommandOutline.all.map(\.words).filter { line.starts(with: $0) }
            return named.max { $0.count < $1.count } ?? []
        }
    }()

    /// The lines of a help that begin with the program's name.
    private static func examples(in discussion: String) -> [[String]] {
        // What ends with a backslash goes on in the next line.
        let lines = discussion.replacing("\\\n", with: "").split(separator: "\n")
        return lines.filter { $0.hasPrefix("  mien ") }.map { Array(shellWords($0).dropFirst()) }
    }

    /// As a shell divides a line at spaces that are not quoted; without the sign for the background.
    private static func shellWords(_ line: Substring) -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        for character in line {
            if character == "'" {
                isQuoted.toggle()
                word = word ?? ""
            } else if character == " ", !isQuoted {
                if let whole = word { words.append(whole) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        return words.filter { $0 != "&" }
    }

    private static let further: [[String]] = [
        ["dev", "--workers", "3", "--listen", "127.0.0.1:0", "--set", "log.level=debug", "--log-level", "info"],
        ["coordinator", "--advertise", "10.0.0.1:7400", "--token-file", "token", "--set", "coordinator.data=data/a=b"],
        ["worker", "--coordinator", "10.0.0.1:7400", "--coordinator", "10.0.0.2:7400", "--advertise", "10.0.0.5:7401"],
        [
            "collection", "create", "people", "--dimension", "512", "--model", "m", "--shards", "4", "--copies", "3",
            "--min-copies", "2", "--precision", "float32",
        ],
        [
            "import", "people", "--embeddings", "a.npz", "--array", "x", "--from-row", "7", "--batch", "100",
            "--in-flight", "2", "--external-ids", "names.txt",
        ],
        ["export", "people", "out", "--format", "npy"],
        [
            "search", "people", "--probes", "a.npy", "-k", "5", "--threshold", "-0.5", "--effort", "lists:8",
            "--min-coverage", "0.5", "--strong", "--truth", "t.jsonl", "--json", "--timeout", "2.5",
        ],
        [
            "search", "people", "--probes", "a.npy", "--person", "p", "--person", "q", "--external-id", "e",
            "--attribute", "gate=north", "--created-from", "2026-01-31", "--created-to", "2026-02-01T09:30:00.5+01:00",
            "--coordinator", "[::1]:7400", "--tls-trust", "system",
        ],
        ["status", "--workers", "3", "--warm", "--memory"],
        ["top", "--interval", "0.5", "--once"],
        [
            "generate", "g", "--faces", "10", "--dimension", "64", "--effective-dimension", "20.5", "--mated-share",
            "0.5", "--hostile-rows", "3", "--precision", "float16", "--profile", "mugshot",
        ],
        ["operation", "pause", "3f2a"], ["operation", "resume", "3f2a"], ["operation", "cancel", "3f2a"],
        ["shard", "split", "people", "0", "7"],
        ["backup", "create", "people", "--to", "s3://bucket/mien", "--rate", "64MiB", "--full", "--timeout", "60"],
        [
            "backup", "restore", "/backups", "--collection", "people", "--at-sequence", "3:1042", "--at-sequence",
            "4:7", "--shards", "8", "--copies", "3", "--min-copies", "2", "--rate", "1GiB", "--ledger", "people",
            "--undelete",
        ],
        [
            "load", "run", "people", "--rate", "200", "--arrivals", "constant", "--duration", "2m", "--warm-up",
            "500ms", "--mix", "search=80,photo:20=5,enrol=10,delete=5", "--streams", "count=4,fps=10,faces=3,track=5s",
            "--deadline", "1.5s", "--retry", "10s", "--connections", "4", "--max-in-flight", "100", "--probes", "200",
            "--compare", "10", "--check-limit", "1000", "--processes", "2",
        ],
        [
            "load", "run", "people", "--closed", "8", "--cluster", "workers=2,worker.search_threads=1", "--fault",
            "at 1s kill worker 1; at 5s start worker 1; at 9s stop worker 2 for 2s", "--faces", "1000",
            "--expect-filled", "--fill-batch", "256", "--fill-in-flight", "2", "--seed", "7",
        ],
        [
            "load", "run", "people", "--ramp", "from=200,to=5000,factor=1.5,each=10s,within=5%", "--objective",
            "p99.9 <= 50ms, errors <= 0.1%", "--rate", "70%", "--effort", "recall:0.9", "--min-coverage", "0.5", "-k",
            "3",
        ],
        ["load", "run", "people", "--rate", "5", "--folder", "parts", "--part", "1", "--parts", "2"],
        [
            "evaluate", "accuracy", "people", "--probes", "a.npy", "--truth", "t.jsonl", "-k", "20", "--also-time-k",
            "1", "--also-time-k", "50", "--photo", "20", "--singles", "10",
        ],
        [
            "evaluate", "growth", "trial", "--gallery", "g", "--faces", "100", "--faces", "200", "--within", "10",
            "--within", "2.5", "--settle", "60", "--steady", "2", "--shards", "2",
        ],
        [
            "bench", "index", "g", "-k", "5", "--threshold", "0.2", "--lists", "64", "--probes", "10", "--threads", "2",
            "--rounds", "1",
        ],
        ["bench", "filter", "g", "--scattered-row-cost", "inf", "--probes", "10"],
        ["bench", "overhead", "--faces", "200", "--pairs", "5", "--writes", "2"],
        ["bench", "wire", "--passes", "3"],
        ["bench", "spectrum", "--probes", "10", "--seed", "3"],
        ["bench", "codes", "--plan", "3,1,1", "--candidates", "50", "--partitions", "2", "--lists", "16"],
        ["bench", "abandon", "--lists", "16", "--candidates", "40", "--rounds", "1", "--per-band", "8"],
        ["bench", "lists", "--lists", "64", "--photo", "20", "--effort", "lists:4"],
        ["bench", "churn", "--turnover", "0.5", "--batch", "100", "--seed", "7", "--effort", "full"],
    ]
}
