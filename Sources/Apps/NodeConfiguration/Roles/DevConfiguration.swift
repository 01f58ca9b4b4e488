/// The options of `mien dev`: one coordinator and some workers in one process, all on this machine.
package struct DevConfiguration: Sendable, Equatable {
    /// Number of workers, at least one.
    package var workers: Int
    /// Folder that holds the coordinator's and the workers' folders.
    package var data: String
    /// Tells of all nodes of the process; nil when there is to be none.
    package var admin: AdminListener?
    package var coordinator: CoordinatorConfiguration
    /// What all workers have in common; ``worker(number:coordinator:)`` gives each its own folder.
    private var workerTemplate: WorkerConfiguration

    package var token: AccessToken? { coordinator.token }
    package var tls: TLSFiles? { coordinator.tls }
    package var log: LogConfiguration { coordinator.log }

    /// - Throws: every problem of the sources at once.
    package init(from sources: ConfigurationSources) throws(NodeConfigurationError) {
        var configuration = LayeredConfiguration(role: .dev, sources: sources)
        let keys = KeyCatalogue.self
        let listen = configuration.value(keys.devListen)
        let data = configuration.value(keys.devData)
        let workers = configuration.value(keys.devWorkers)
        let shared = SharedConfiguration(reading: &configuration)
        coordinator = CoordinatorConfiguration(
            listen: listen,
            advertise: nil,
            data: "\(data)/coordinator",
            shared: shared,
            reading: &configuration
        )
        workerTemplate = WorkerConfiguration(
            listen: NetworkAddress(host: "127.0.0.1", port: 0),
            advertise: nil,
            data: data,
            coordinators: [listen],
            automaticThreads: (WorkerConfiguration.coreCount + workers - 1) / workers,
            shared: shared,
            reading: &configuration
        )
        self.workers = workers
        self.data = data
        if workerTemplate.heartbeatInterval * 2 > coordinator.workerTimeout {
            let reason =
                "coordinator.worker_timeout must be at least twice worker.heartbeat_interval, or one late "
                + "heartbeat makes a worker count as lost"
            let place = configuration.place(of: keys.workerTimeout.path)
            configuration.note(.conflictingValues(place, reason: reason))
        }
        ListenerPolicy.check(
            listen: listen,
            key: keys.devListen.path,
            advertise: listen,
            advertiseKey: keys.devListen.path,
            isProtectedBy: (coordinator.tls, coordinator.token),
            &configuration
        )
        admin = .read(
            keys.devAdmin,
            besides: listen,
            listenKey: keys.devListen.path,
            isProtectedBy: (coordinator.tls, coordinator.token),
            &configuration
        )
        try configuration.finish()
    }

    /// The configuration of one of the workers.
    ///
    /// - Parameters:
    ///   - number: 1 to `workers`; names the worker's folder.
    ///   - coordinator: where the coordinator listens, with the port that it was given if it asked for any.
    package func worker(number: Int, coordinator: NetworkAddress) -> WorkerConfiguration {
        precondition((1...workers).contains(number), "worker \(number) of \(workers)")
        var worker = workerTemplate
        worker.data = "\(data)/worker-\(number)"
        worker.coordinators = [coordinator]
        return worker
    }
}
