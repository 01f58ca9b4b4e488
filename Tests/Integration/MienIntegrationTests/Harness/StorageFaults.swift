import Foundation

/// A library that stands between a node and its files; built from C when a story first needs it.
enum StorageFaults {
    private static let built = Result<String, any Error> {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let source = folder.appending(path: "StorageFaults/storage_faults.c").path
        let library = FileManager.default.temporaryDirectory.appending(path: "mien-storage-faults-\(getpid()).so").path
        let compiler = Process()
        compiler.executableURL = URL(filePath: "/usr/bin/env")
        compiler.arguments = ["clang", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread"]
        try compiler.run()
        compiler.waitUntilExit()
        guard compiler.terminationStatus == 0 else { throw StoryError("clang cannot build \(source)") }
        return library
    }

    /// Which call fails, counted from the start of the process.
    struct Fault: CustomStringConvertible {
        enum Kind: String { case write, sync }

        var kind: Kind
        var number: Int
        /// Error number; 0 for a write that ends halfway.
        var error: Int32

        var description: String { "\(kind.rawValue):\(number):\(error)" }
    }

    /// Variables for a node whose syncs, and whose wall clock, a story changes while it runs.
    ///
    /// - Parameters:
    ///   - delay: a file that may hold milliseconds, by which every sync is late.
    ///   - clock: a file that may hold seconds, by which the clock is ahead.
    ///   - report: gets a line such as `delay 300` for every sync that was late.
    static func changing(
        delay: String? = nil,
        clock: String? = nil,
        report: String? = nil
    ) throws -> [String: String] {
        var variables = try environment(report: report)
        variables["STORAGE_FAULTS_DELAY"] = delay
        variables["STORAGE_FAULTS_CLOCK"] = clock
        return variables
    }

    /// Variables for a node whose partitions' files are to be watched.
    ///
    /// - Parameters:
    ///   - each: a file that may hold faults, of which every so manieth call is meant, such as `write:7:5 sync:3:5`.
    ///   - file: what the paths of watched files end with.
    ///   - streams: whether writes without an offset are calls that may fail, as `stream`: copies, and files that are
    ///     written whole.
    ///   - root: a folder below which everything is recorded, names too. Several processes may have one record.
    static func environment(
        fault: Fault? = nil,
        each: String? = nil,
        report: String? = nil,
        record: String? = nil,
        file: String = "/partition/data.mdb",
        streams: Bool = false,
        root: String? = nil
    ) throws -> [String: String] {
        var variables = ["LD_PRELOAD": try built.get(), "STORAGE_FAULTS_FILE": file]
        variables["STORAGE_FAULTS_EACH"] = each
        variables["STORAGE_FAULTS_FAULT"] = fault.map { "\($0)" }
        variables["STORAGE_FAULTS_REPORT"] = report
        variables["STORAGE_FAULTS_RECORD"] = record
        variables["STORAGE_FAULTS_STREAMS"] = streams ? "1" : nil
        variables["STORAGE_FAULTS_ROOT"] = root
        return variables
    }
}
