import ClusterModel
import FaceModel
import WireProtocol

extension ReplicatedShard {
    /// Why the primary takes no faces for want of room; nil when it took them. After a restart it leads again under a
    /// new epoch, and finds only then that there is none.
    func refusalForWantOfRoom(of ids: [FaceID], by primary: Int) async throws -> WireStatus? {
        try await eventually("the write is refused") { () async throws(WireStatus) in
            do throws(WireStatus) {
                let epoch = self.keeper.group!.epoch.number
                _ = try await self.call(self.test.enrol(ids, epoch: epoch), on: primary)
                return WireStatus?.none
            } catch {
                guard error.code == .storageFull else { throw error }
                return error
            }
        }
    }

    /// Waits until a replica that is being removed refuses to be read.
    func awaitStopping(of index: Int, reading ids: [FaceID]) async throws {
        _ = try await eventually("it stops") { () async throws(WireStatus) -> Bool in
            do throws(WireStatus) {
                _ = try await self.faces(ids, on: index)
                return false
            } catch {
                return error.message.contains("is stopping")
            }
        }
    }

    /// Has faces enrolled one by one until one is refused for want of room at another replica: what is ordered before
    /// the primary has heard of that the other takes.
    ///
    /// - Returns: the refusal, nil when there was none; the faces that were stored, and those of which it is not known.
    func enrolUntilRefused(
        _ ids: ArraySlice<FaceID>,
        by primary: Int
    ) async throws -> (refusal: WireStatus?, stored: [FaceID], doubtful: [FaceID]) {
        var (refusal, stored, doubtful) = (WireStatus?.none, [FaceID](), [FaceID]())
        for id in ids where refusal == nil {
            do throws(WireStatus) {
                let epoch = keeper.group!.epoch.number
                _ = try await call(test.enrol([id], epoch: epoch), on: primary)
                stored.append(id)
            } catch {
                if error.code == .storageFull { refusal = error } else { doubtful.append(id) }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        return (refusal, stored, doubtful)
    }
}
