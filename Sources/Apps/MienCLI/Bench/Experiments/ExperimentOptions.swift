import ArgumentParser

/// What all experiments on generated galleries share.
struct ExperimentOptions: ParsableArguments {
    @Option(help: "Probes whose best mate lies in each band of similarity.")
    var perBand = 100
    @Option(help: "Equal seeds give equal galleries, codebooks and probes.")
    var seed: UInt64 = 1
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        guard (1...10_000).contains(perBand) else { throw ValidationError("--per-band must be 1 to 10000.") }
    }

    /// Fewer faces than this train no codebook.
    static let leastFaceCount = 2048

    static func check(faces: Int) throws {
        guard (leastFaceCount...100_000_000).contains(faces) else {
            throw ValidationError("--faces must be \(leastFaceCount) to 100000000.")
        }
    }
}
