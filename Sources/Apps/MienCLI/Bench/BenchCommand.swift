import ArgumentParser

/// Measurements that anyone can repeat: comparisons within one run, medians and ratios.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure a cluster, or this machine.",
        discussion: """
            EXAMPLE
              mien bench search people --probes gallery/probes.npy --truth gallery/probe-truth.jsonl
              mien bench overhead
            """,
        subcommands: [BenchSearchCommand.self, BenchOverheadCommand.self]
    )
}
