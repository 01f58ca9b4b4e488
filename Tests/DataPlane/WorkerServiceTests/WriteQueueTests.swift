import Testing
import WorkerService

struct WriteQueueTests {
    private func installation(_ byteCount: Int) -> PendingInstallation {
        PendingInstallation(bytes: [UInt8](repeating: 0, count: byteCount), finish: { _ in })
    }

    @Test func oneCodebookWaitsAndItsBytesCount() {
        var queue = WriteQueue(rowLimit: 10, byteLimit: 10)
        let isFirstTaken = queue.append(installation(100))
        let isSecondTaken = queue.append(installation(7))
        #expect(isFirstTaken && !isSecondTaken)
        #expect(queue.hasInstallation && queue.byteCount == 100)

        let turn = queue.popTurn(commitRowLimit: 1, commitByteLimit: 1)
        guard case .install(let installed) = turn else {
            Issue.record("no codebook was taken")
            return
        }
        #expect(installed.bytes.count == 100)
        #expect(queue.isEmpty && !queue.hasInstallation && queue.byteCount == 0)
        let isThirdTaken = queue.append(installation(7))
        #expect(isThirdTaken && queue.byteCount == 7)
    }
}
