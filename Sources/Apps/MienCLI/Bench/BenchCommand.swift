import ArgumentParser

/// Measurements that anyone can repeat: comparisons within one run, medians and ratios.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure a cluster, or this machine.",
        discussion: """
            EXAMPLE
              mien bench index gallery --effort recall:0.99 --effort full
              mien bench filter gallery --share 0.5 --share 0.01
              mien bench kernels
              mien bench overhead
              mien bench wire
              mien bench storage
              mien bench codes --faces 100000

            spectrum, codes, abandon, lists and churn are the experiments behind the layout of codes, lists and \
            files; docs/decisions has what they decided. What a cluster's searches find, and how long they take, is \
            told by 'mien evaluate accuracy'.
            """,
        subcommands: [
            BenchIndexCommand.self, BenchFilterCommand.self, BenchKernelsCommand.self, BenchOverheadCommand.self,
            BenchWireCommand.self, BenchStorageCommand.self, BenchSpectrumCommand.self, BenchCodesCommand.self,
            BenchAbandonCommand.self, BenchListsCommand.self, BenchChurnCommand.self,
        ]
    )
}
