package import ClusterModel
import FaceModel
package import WireProtocol
package import WireTransport

/// Answers what clients ask about collections and the cluster, and the workers' heartbeats.
package struct ControlHandler: Sendable {
    let controller: ClusterController
    /// What this node is doing.
    let activity: @Sendable () -> NodeActivity

    package init(
        controller: ClusterController,
        activity: @escaping @Sendable () -> NodeActivity = { NodeActivity() }
    ) {
        self.controller = controller
        self.activity = activity
    }

    /// Takes the request when it is of this service; false otherwise, and nothing was done.
    package func handle(_ request: Request, call: ServerCall) -> Bool {
        switch request {
        case .createCollection(let request):
            call.run { try await controller.create(request, deadline: call.deadline) }
        case .describeCollection(let request):
            answer(call) { () throws(WireStatus) in try controller.describe(request) }
        case .listCollections: call.reply(CollectionList(collections: controller.descriptions()))
        case .deleteCollection(let request):
            call.run { try await controller.delete(request, deadline: call.deadline) }
        case .beginRestore(let request):
            call.run { try await controller.beginRestore(request, deadline: call.deadline) }
        case .finishRestore(let request):
            call.run { try await controller.finishRestore(request, deadline: call.deadline) }
        case .readCodebook(let request): call.run { try await controller.readCodebook(request) }
        case .restoreCodebook(let request):
            call.run { try await controller.restoreCodebook(request, deadline: call.deadline) }
        case .verifyShard(let request):
            call.run { try await controller.verify(request, deadline: call.deadline) }
        case .planOperation(let request):
            answer(call) { () throws(WireStatus) in try controller.plan(request) }
        case .beginOperation(let request): call.run { try await controller.begin(request) }
        case .changeOperation(let request): call.run { try await controller.change(request) }
        case .listOperations: call.reply(controller.operations())
        case .explainShard(let request):
            answer(call) { () throws(WireStatus) in try controller.explain(request) }
        case .pinShard(let request): call.run { try await controller.pin(request) }
        case .acceptRecord(let request): call.run { try await controller.accept(request) }
        case .recoverShard(let request): call.run { try await controller.recover(request) }
        case .readLosses(let request): call.run { try await controller.losses(request) }
        case .getClusterStatus: call.reply(controller.status(activity: activity()))
        case .heartbeat(let request):
            guard call.peerRole == .worker else {
                call.fail(WireStatus(.invalidRequest, "Heartbeats are taken from workers only."))
                return true
            }
            // Nearly every heartbeat needs no commit, and is answered on the spot.
            switch controller.hear(request) {
            case .success(let reply?): call.reply(reply)
            case .success(nil): call.run { try await controller.join(request) }
            case .failure(let status): call.fail(status)
            }
        case .proposeGroup(let request):
            guard call.peerRole == .worker else {
                call.fail(WireStatus(.invalidRequest, "Changes of groups are taken from workers only."))
                return true
            }
            call.run { try await controller.propose(request) }
        default: return false
        }
        return true
    }

    /// Answers what changes nothing.
    private func answer(_ call: ServerCall, _ body: () throws(WireStatus) -> some WireMessage) {
        do throws(WireStatus) {
            call.reply(try body())
        } catch {
            call.fail(error.withoutEffect)
        }
    }
}
