import ArgumentParser

/// How good the answers are: of people, and of the index beside exact search.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measure error rates, what the index misses, and how times grow.",
        discussion: """
            EXAMPLE
              mien evaluate accuracy people --probes gallery/probes.npy --truth gallery/probe-truth.jsonl
              mien evaluate growth trial --gallery gallery --faces 100000 --faces 300000 --faces 1000000

            Words are those of NIST's FRTE 1:N: FNIR(N, R, T) is the share of mated searches whose mate is not \
            among the first R matches with a similarity of at least T, FPIR(N, T) the share of nonmated searches \
            with any match of at least T. N is faces here, and people in NIST's tables: persons are told beside \
            faces, so that both can be compared. Intervals hold the true rate with 95 % confidence.
            """,
        subcommands: [EvaluateAccuracyCommand.self, EvaluateGrowthCommand.self]
    )
}
