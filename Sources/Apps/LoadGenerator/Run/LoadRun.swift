package import MienClient
import Synchronization
import VectorMath

/// One load against one collection: makes the calls at their times, and notes what comes of them.
package struct LoadRun: Sendable {
    /// How far apart wake-ups are at least: calls of one wake-up share it, and what it costs. They are late by half of
    /// that on average, which is told; at 10 000 calls a second it is a millisecond.
    private static func quantum(ratePerSecond: Double) -> Duration {
        .microseconds(Int64(min(1000, max(100, ratePerSecond / 10))))
    }

    private let plan: LoadPlan
    private let clients: [MienClient]
    private let writers: [MienClient]
    private let collection: String
    private let model: String
    private let population: LoadPopulation
    private let pool: ProbePool
    private let stock: ImageStock
    private let order: BaseOrder
    package let recorder: LoadRecorder

    /// - Parameters:
    ///   - clients: each with connections of its own; searches take turns.
    ///   - writers: as many, for writes.
    ///   - stock: filled.
    package init(
        plan: LoadPlan,
        clients: [MienClient],
        writers: [MienClient],
        collection: String,
        model: String,
        population: LoadPopulation,
        pool: ProbePool,
        stock: ImageStock
    ) {
        precondition(!clients.isEmpty, "a load without a client")
        precondition(writers.count == clients.count, "a load whose writes have other connections")
        self.plan = plan
        self.clients = clients
        self.writers = writers
        self.collection = collection
        self.model = model
        self.population = population
        self.pool = pool
        self.stock = stock
        order = BaseOrder(count: population.filledCount)
        recorder = LoadRecorder(plan: plan, filledCount: population.filledCount)
    }

    /// Runs the load to its end, or until `isStopped` says so, and waits for the calls that are under way then.
    package func run(from start: ContinuousClock.Instant, isStopped: @escaping @Sendable () -> Bool) async {
        switch plan.arrivals {
        case .open(let rate, let process):
            var queue = ArrivalQueue(plan, ratePerSecond: rate, process: process)
            let quantum = Self.quantum(ratePerSecond: rate)
            await withDiscardingTaskGroup { group in
                var number = 0
                while queue.next < plan.totalDuration, !isStopped() {
                    let now = ContinuousClock.now - start
                    while queue.next <= now, queue.next < plan.totalDuration {
                        let arrival = queue.take()
                        let client = client(number, for: arrival)
                        number += 1
                        group.addTask { await perform(arrival, start, client) }
                    }
                    let wake = max(queue.next, now + quantum)
                    try? await Task.sleep(until: start + wake, tolerance: .zero)
                }
            }
        case .closed(let callerCount):
            await withDiscardingTaskGroup { group in
                for caller in 0..<callerCount {
                    group.addTask {
                        var random = SplitMix64(seed: plan.seed &+ UInt64(caller) &* 0x9E37_79B9)
                        try? await Task.sleep(until: start, tolerance: .zero)
                        while !isStopped() {
                            let now = ContinuousClock.now - start
                            guard now < plan.totalDuration else { return }
                            let arrival = ArrivalQueue.arrival(of: plan.mix, at: now, &random)
                            await perform(arrival, start, client(caller, for: arrival))
                        }
                    }
                }
            }
        }
    }

    /// The one whose turn it is.
    private func client(_ turn: Int, for arrival: ArrivalQueue.Arrival) -> MienClient {
        arrival.operation.isWrite ? writers[turn % writers.count] : clients[turn % clients.count]
    }

    private func perform(
        _ arrival: ArrivalQueue.Arrival,
        _ start: ContinuousClock.Instant,
        _ client: MienClient
    ) async {
        let now = ContinuousClock.now - start
        guard recorder.begin(arrival.operation, at: arrival.at, late: now - arrival.at) else { return }
        var call = Call(arrival: arrival, start: start, client: client, random: arrival.random)
        switch arrival.operation {
        case .search, .photo, .frame: await search(&call)
        case .byFace: await searchByFace(&call)
        case .enrol: await enrol(&call)
        case .upsert: await upsert(&call)
        case .delete: await delete(&call)
        }
    }

    /// A call under way.
    private struct Call {
        let arrival: ArrivalQueue.Arrival
        let start: ContinuousClock.Instant
        let client: MienClient
        var random: SplitMix64

        var now: Duration { ContinuousClock.now - start }
    }

    /// Counts the call as ended now.
    private func end(_ call: Call, _ status: CallFigures.Status) {
        recorder.end(call.arrival.operation, status, at: call.arrival.at, call.now - call.arrival.at)
    }

    // MARK: Searches

    private func search(_ call: inout Call) async {
        let arrival = call.arrival
        let numbers: [Int]
        let probes: Embeddings
        if arrival.operation == .frame, let streams = plan.streams {
            numbers = (0..<arrival.count).map {
                streams.person(stream: arrival.stream, place: $0, at: arrival.at, of: pool.count)
            }
            probes = pool.frame(numbers, random: &call.random)
        } else {
            numbers = (0..<arrival.count).map { _ in Int.random(in: 0..<pool.count, using: &call.random) }
            probes = pool.probes(numbers)
        }
        let begin = recorder.startRead(at: call.now)
        do throws(MienClientError) {
            let results = try await call.client.search(collection, probes: probes, model: model, options: plan.options)
            end(call, results.coverage.isFull ? .ok : .partial)
            // Frames are not the pool's very probes, so exact searches for those would be others.
            let sampledAt = arrival.operation != .frame && arrival.at >= plan.warmUp ? arrival.at : nil
            recorder.judge(results, probes: numbers, since: begin, population, pool, sampledAt: sampledAt)
        } catch {
            end(call, .failed(error.code.description))
        }
    }

    private func searchByFace(_ call: inout Call) async {
        guard let face = recorder.untouchedFace(order, random: &call.random) else {
            return end(call, .notSent)
        }
        let id = population.faceID(face)
        let begin = recorder.startRead(at: call.now)
        do throws(MienClientError) {
            let results = try await call.client.search(collection, face: id, options: plan.options)
            end(call, results.coverage.isFull ? .ok : .partial)
            recorder.judge(results, probes: nil, since: begin, population, pool, sampledAt: nil)
        } catch {
            if error.code == .notFound { recorder.judgeAbsence(of: face, id: id) }
            end(call, .failed(error.code.description))
        }
    }

    // MARK: Writes

    private func enrol(_ call: inout Call) async {
        guard let images = stock.take(call.arrival.count) else { return end(call, .notSent) }
        await store(images, at: recorder.beginEnrolment(of: images, population), call)
    }

    private func upsert(_ call: inout Call) async {
        guard let images = stock.take(call.arrival.count) else { return end(call, .notSent) }
        let targets = recorder.beginWrite(of: images.count, order, population, random: &call.random) {
            .image(images[$0].number)
        }
        guard !targets.isEmpty else { return end(call, .notSent) }
        await store(Array(images.prefix(targets.count)), at: targets, call)
    }

    private func store(_ images: [ImageStock.Image], at targets: [LoadRecorder.Target], _ call: Call) async {
        do throws(MienClientError) {
            let receipt = try await call.client.enrol(
                zip(images, targets).map {
                    NewFace(id: $0.1.id, metadata: population.metadata(ofImage: $0.0.number))
                },
                embeddings: Embeddings(dimension: population.dimension, values: images.flatMap(\.values)),
                into: collection,
                model: model
            )
            recorder.endEnrolment(targets, receipt, at: call.now)
            let isRefused = receipt.outcomes.contains { if case .rejected = $0 { true } else { false } }
            end(call, isRefused ? .failed("rowRefused") : .ok)
        } catch {
            recorder.endWrite(targets, error, at: call.now)
            end(call, .failed(error.code.description))
        }
    }

    private func delete(_ call: inout Call) async {
        let targets = recorder.beginWrite(of: call.arrival.count, order, population, random: &call.random) { _ in
            .absent
        }
        guard !targets.isEmpty else { return end(call, .notSent) }
        do throws(MienClientError) {
            let receipt = try await call.client.deleteFaces(targets.map(\.id), from: collection)
            recorder.endDeletion(targets, receipt, at: call.now)
            end(call, .ok)
        } catch {
            recorder.endWrite(targets, error, at: call.now)
            end(call, .failed(error.code.description))
        }
    }
}
