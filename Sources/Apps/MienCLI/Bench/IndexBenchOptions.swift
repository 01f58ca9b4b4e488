import ArgumentParser
import FaceModel

/// What searches of one partition in process are measured on.
struct IndexBenchOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Folder of the gallery.", valueName: "folder"))
    var gallery: String
    @Option(help: ArgumentHelp("Folder of the partition; by default beside the gallery.", valueName: "folder"))
    var partition: String?
    @Option(
        name: .customLong("effort"),
        help: ArgumentHelp("An effort to measure; may be repeated.", valueName: "effort"),
        transform: ArgumentText.partitionEffort
    )
    var efforts: [SearchEffort] = []
    @Option(help: "Probes of a photo.")
    var photo = 100
    @Option(name: .customShort("k"), help: "Matches for each probe.")
    var matchLimit = 10
    @Option(help: "Least similarity of a match.")
    var threshold: Float?
    @Option(help: "Rounds over what is measured.")
    var rounds = 3

    func validate() throws {
        guard photo > 0, rounds > 0, SearchParameters.matchLimitRange.contains(matchLimit) else {
            throw ValidationError("--photo, --rounds and -k must be at least 1.")
        }
        if let threshold, !(-1...1).contains(threshold) {
            throw ValidationError("--threshold must be from -1 to 1.")
        }
        for effort in efforts {
            if let problem = effort.problem { throw ValidationError(problem) }
        }
    }
}
