import LoadGenerator
import MienClient

/// A collection that is as a fill left it, and everything to load it with.
struct LoadSubject {
    /// Images that are ready before a load begins: two seconds' worth at 10 000 a second and more of a smaller load.
    private static let imagesAhead = 20_000
    private static let patience = MienClient.CallOptions(timeout: .seconds(120), retryDuration: .seconds(60))

    let name: String
    let model: String
    let options: LoadOptions
    let population: LoadPopulation
    let pool: ProbePool
    /// One for each connection.
    let clients: [MienClient]
    /// The same connections for writes, so that what is sent again is counted apart.
    let writers: [MienClient]
    /// For what is not measured: tries again for a while.
    let patient: MienClient

    init(
        _ collection: CollectionInfo,
        options: LoadOptions,
        population: LoadPopulation,
        clients: [MienClient]
    ) {
        name = collection.options.name
        model = collection.options.embeddingModel
        self.options = options
        self.population = population
        let calls = MienClient.CallOptions(timeout: options.deadline, retryDuration: options.retry)
        self.clients = clients.map { $0.with(calls: calls) }
        writers = clients.map { $0.with(calls: calls) }
        patient = clients[0].with(calls: Self.patience)
        pool = ProbePool(population, count: options.probes)
    }

    private var restoration: LoadRestoration {
        LoadRestoration(client: patient, collection: name, model: model, population: population)
    }

    /// Undoes what earlier loads did.
    func restore() async throws(CommandFailure) -> LoadRestoration.Result {
        try await calling { () async throws(MienClientError) in
            try await restoration.run()
        }
    }

    /// What is not as a fill left it; nothing is changed.
    func findings() async throws(CommandFailure) -> TruthFindings {
        var findings = try await calling { () async throws(MienClientError) in
            try await restoration.findings()
        }
        let count = try await faceCount()
        let text = "\(count) faces are there before the load; \(population.filledCount) were filled"
        if count < UInt64(population.filledCount) { findings.add(.lost, text) }
        if count > UInt64(population.filledCount) { findings.add(.resurrected, text) }
        return findings
    }

    func checkCount() async throws(CommandFailure) {
        let count = try await faceCount()
        guard count == UInt64(population.filledCount) else {
            throw CommandFailure(
                .badData,
                "\(name) holds \(count) faces, and not the \(population.filledCount) of a fill; "
                    + "give the number with --faces, or fill it with --fill, and keep other faces out of it"
            )
        }
    }

    private func faceCount() async throws(CommandFailure) -> UInt64 {
        let results = try await calling { () async throws(MienClientError) in
            try await patient.search(
                name,
                probes: Embeddings(dimension: population.dimension, values: population.embeddings(of: 0..<1)),
                model: model,
                options: SearchOptions(matchLimit: 1, effort: .lists(1))
            )
        }
        return results.coverage.facesTotal
    }

    /// Prepares one load; its images are those of the first writes.
    func run(_ plan: LoadPlan) -> (run: LoadRun, stock: ImageStock) {
        let stock = ImageStock(
            population,
            part: plan.part,
            of: plan.partCount,
            aheadCount: plan.mix.imagesPerCall == 0 ? 0 : Self.imagesAhead
        )
        stock.fill()
        let run = LoadRun(
            plan: plan,
            clients: clients,
            writers: writers,
            collection: name,
            model: model,
            population: population,
            pool: pool,
            stock: stock
        )
        return (run, stock)
    }

    func verification(_ plan: LoadPlan, limits: LoadVerification.Limits) -> LoadVerification {
        LoadVerification(
            client: patient,
            collection: name,
            model: model,
            population: population,
            pool: pool,
            plan: plan,
            limits: limits
        )
    }

    /// Calls of the measured clients that were sent again, so far.
    var resends: MienClient.Resends { clients.map(\.resends).reduce(writeResends, +) }
    /// Of them, writes.
    var writeResends: MienClient.Resends { writers.map(\.resends).reduce(.zero, +) }

    func close() async { for client in clients { await client.close() } }
}
