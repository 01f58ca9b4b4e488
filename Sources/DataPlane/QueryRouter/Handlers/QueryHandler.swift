import ClusterModel
import FaceModel
package import WireProtocol
package import WireTransport

/// Answers clients' requests about faces: each runs as a task on its connection's event loop, when there is room for
/// it.
package struct QueryHandler: Sendable {
    let router: QueryRouter
    private let reads: AdmissionGate
    private let writes: AdmissionGate
    private let backups: AdmissionGate

    package init(router: QueryRouter) {
        self.router = router
        reads = AdmissionGate(.reads, options: router.options, source: router.source, metrics: router.metrics)
        writes = AdmissionGate(.writes, options: router.options, source: router.source, metrics: router.metrics)
        backups = AdmissionGate(
            .reads,
            countsCalls: false,
            options: router.options,
            source: router.source,
            metrics: router.metrics
        )
    }

    /// Takes the request when it is of this service; false otherwise, and nothing was done.
    package func handle(_ request: Request, call: ServerCall) -> Bool {
        let router = router
        let deadline = call.deadline
        let eventLoop = call.eventLoop
        switch request {
        case .enrolFaces(let request):
            writes.run(call, of: request.collection, .small) { _ in
                try await router.enrol(request, deadline: deadline, on: eventLoop)
            }
        case .deleteFaces(let request):
            writes.run(call, of: request.collection, .small) { _ in
                try await router.delete(request, deadline: deadline, on: eventLoop)
            }
        case .getFaces(let request):
            reads.run(
                call,
                of: request.collection,
                .faces(request.ids.count, includesEmbeddings: request.includesEmbeddings)
            ) { bytes in
                try await router.faces(request, deadline: deadline, on: eventLoop, counting: bytes)
            }
        case .getLatestToken(let request):
            reads.run(call, of: request.collection, .small) { _ in
                try await router.latestToken(request, deadline: deadline, on: eventLoop)
            }
        case .listFaces(let request):
            reads.run(
                call,
                of: request.collection,
                .faces(request.limit, includesEmbeddings: request.includesEmbeddings)
            ) { bytes in
                try await router.list(request, deadline: deadline, on: eventLoop, counting: bytes)
            }
        case .searchFaces(let request):
            reads.run(call, of: request.collection, request.expectedAnswer) { bytes in
                try await router.search(request, deadline: deadline, on: eventLoop, counting: bytes)
            }
        case .searchByFace(let request):
            reads.run(call, of: request.collection, request.expectedAnswer) { bytes in
                try await router.search(request, deadline: deadline, on: eventLoop, counting: bytes)
            }
        case .beginBackup(let request):
            call.run { try await router.beginBackup(request, deadline: deadline, on: eventLoop) }
        case .describeSnapshot(let request):
            let worker = request.route.worker
            call.run { try await router.forward(request, to: worker, deadline: deadline, on: eventLoop) }
        case .readSnapshot(let request):
            let worker = request.route.worker
            backups.run(call, snapshotOf: request.route.shard.collection, faceCount: request.limit) {
                try await router.forward(request, to: worker, deadline: deadline, on: eventLoop)
            }
        case .releaseSnapshot(let request):
            let worker = request.route.worker
            call.run { try await router.forward(request, to: worker, deadline: deadline, on: eventLoop) }
        case .readErasures(let request):
            backups.run(call, of: request.collection, .erasures(request.limit)) { _ in
                try await router.erasures(request, deadline: deadline, on: eventLoop)
            }
        case .restoreFaces(let request):
            writes.run(call, of: request.collection, .small) { _ in
                try await router.restore(request, deadline: deadline, on: eventLoop)
            }
        default: return false
        }
        return true
    }
}

extension GetFaces {
    fileprivate var expectedAnswer: ExpectedAnswer { .faces(ids.count, includesEmbeddings: includesEmbeddings) }
}

extension ListFaces {
    fileprivate var expectedAnswer: ExpectedAnswer { .faces(limit, includesEmbeddings: includesEmbeddings) }
}

extension SearchFaces {
    fileprivate var expectedAnswer: ExpectedAnswer {
        .matches(probeCount: probes.rowCount, matchLimit: parameters.matchLimit)
    }
}

extension SearchByFace {
    fileprivate var expectedAnswer: ExpectedAnswer { .matches(probeCount: 1, matchLimit: parameters.matchLimit) }
}
