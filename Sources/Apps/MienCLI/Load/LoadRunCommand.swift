import ArgumentParser
import LoadGenerator
import MienClient
import NodeServer

struct LoadRunCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Fill a collection with generated faces, and put it under load.",
        discussion: """
            EXAMPLE
              mien load people --fill 1000000
              mien load people --rate 500 --mix search=80,enrol=10,delete=10 --duration 2m --report load.html
              mien load people --ramp from=200,each=10s --objective 'p99 <= 50ms' --rate 70%

            The faces of --fill are those of 'mien generate' with the same seed and dimension, made on the way: \
            nothing is written to a file, and memory does not grow with their number. A collection that does \
            not exist is created. Faces that are there already are left as they are, so that a fill that was \
            interrupted goes on where it stopped.

            A load begins with the collection as a fill left it, and leaves it so. Times of calls count from \
            their intended start. Everything acknowledged is checked at the end, and every answer while it runs; \
            the command ends with status 1 when anything was not true or an objective was not met.

            With --cluster the cluster is started for the load, a process for each node, and stopped at the end; \
            --fault breaks it meanwhile: '\(FaultSchedule.example)'.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Option(parsing: .unconditional, help: ArgumentHelp("Enrol this many faces first.", valueName: "count"))
    var fill: Int?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How many faces an earlier fill enrolled; as many as there are unless given.",
            valueName: "count"
        )
    )
    var faces: Int?
    @OptionGroup(title: "Faces") var gallery: LoadGalleryOptions
    @OptionGroup(title: "Fill") var filling: LoadFillOptions
    @OptionGroup(title: "Load") var load: LoadOptions
    @Option(
        help: ArgumentHelp("Start a cluster for the load: \(ClusterPlan.example)", valueName: "nodes"),
        transform: LoadArgument.cluster
    )
    var cluster: ClusterPlan?
    @Option(
        help: ArgumentHelp("Folder for its data, which is kept; a temporary one unless given.", valueName: "folder")
    )
    var clusterData: String?
    @Option(help: ArgumentHelp("What to do to its nodes, and when.", valueName: "faults"))
    var fault: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Faces that nobody wrote, read back at the end at most.", valueName: "count")
    )
    var checkLimit = LoadVerification.Limits().untouchedCount
    @Flag(
        help: ArgumentHelp(
            "The collection must be as its fill left it: whatever is not is a finding, and nothing of it is undone. "
                + "Needs --faces or --fill; so it is anyway where the fill has just enrolled every face."
        )
    )
    var expectFilled = false
    @Flag(help: "Leave what the load wrote in the collection.")
    var keep = false
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Processes that make the load together; their figures become one report. Not with --ramp.",
            valueName: "count"
        )
    )
    var processes = 1
    @OptionGroup(visibility: .private) var part: LoadPartOptions
    @OptionGroup(title: "Report") var output: LoadOutputOptions
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    static let processLimit = 16
    private static let rampNeedsOneProcess =
        "A ramp is made by one process: leave --processes out, and give the rate that it finds as --rate afterwards."

    func validate() throws {
        guard fill != nil || load.isAsked else {
            throw ValidationError("Give --fill, --rate, --closed or --ramp, or several of them.")
        }
        guard fill == nil || faces == nil else { throw ValidationError("Give either --fill or --faces.") }
        guard !expectFilled || fill != nil || faces != nil else {
            throw ValidationError("--expect-filled needs --faces or --fill: how many are expected.")
        }
        for (option, count) in [("--fill", fill), ("--faces", faces)] {
            if let count, !(1...Int(UInt32.max) / 2).contains(count) {
                throw ValidationError("\(option) must be from 1 to \(UInt32.max / 2).")
            }
        }
        guard (0...Int(UInt32.max) / 2).contains(checkLimit) else {
            throw ValidationError("--check-limit must be from 0 to \(UInt32.max / 2).")
        }
        guard (1...Self.processLimit).contains(processes) else {
            throw ValidationError("--processes must be from 1 to \(Self.processLimit).")
        }
        guard processes == 1 || load.ramp == nil else { throw ValidationError(Self.rampNeedsOneProcess) }
        guard clusterData == nil || cluster != nil else { throw ValidationError("--cluster-data needs --cluster.") }
        guard cluster == nil || connection.coordinators.isEmpty else {
            throw ValidationError("Give either --cluster or --coordinator.")
        }
        if let fault {
            guard let cluster else { throw ValidationError("--fault needs --cluster: only its own nodes are broken.") }
            let schedule = try LoadArgument.faults(fault, workerCount: cluster.workerCount)
            let end = load.warmUp + load.duration
            guard let last = schedule.steps.last, last.at < end else {
                throw ValidationError(
                    "The last fault is at \(schedule.steps.last?.at ?? .zero), and the load ends at \(end)."
                )
            }
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let nodes: LoadCluster?
        if let cluster { nodes = try LoadCluster(cluster, folder: clusterData) } else { nodes = nil }
        let interruption = LoadInterruption { nodes?.end() }
        defer { nodes?.end() }
        var connection = connection
        if let nodes { connection.coordinators = [try await nodes.start()] }
        var clients: [MienClient] = []
        for _ in 0..<load.connections { clients.append(try connection.client(on: console)) }
        try await waitForWorkers(clients[0])
        let run = LoadSequence(
            command: self,
            nodes: nodes,
            clients: clients,
            interruption: interruption,
            console: console
        )
        try await run.run()
    }

    /// Waits until every worker of a cluster that was just started is known.
    private func waitForWorkers(_ client: MienClient) async throws(CommandFailure) {
        guard let cluster else { return }
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let status = try? await client.status()
            if let status, status.workers.count(where: \.isLive) >= cluster.workerCount { return }
            guard ContinuousClock.now < deadline else {
                throw CommandFailure(.unavailable, "not every worker registered within 30 seconds")
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }
}
