import Testing
import WireProtocol
import WorkerService

/// One report for the heartbeats to several coordinators.
struct LatestReportTests {
    private let latest = LatestReport()
    private let begin = ContinuousClock.now

    private func report(isStopping: Bool = false) -> WorkerReport {
        var report = WorkerReport(
            replicas: [],
            copyRefusals: [],
            trainings: [],
            residentByteCount: 11,
            freeDiskByteCount: 22,
            kernelLevel: "scalar"
        )
        report.isStopping = isStopping
        return report
    }

    @Test func heartbeatsThatAreDueTogetherHaveOneReport() {
        #expect(latest.shared(changeCount: 7, isStopping: false, now: begin) == nil)
        latest.set(report(), changeCount: 7, begin: begin)
        #expect(latest.shared(changeCount: 7, isStopping: false, now: begin + .milliseconds(30)) == report())
    }

    @Test func whatWasNotedSinceIsInNoSharedReport() {
        latest.set(report(), changeCount: 7, begin: begin)
        #expect(latest.shared(changeCount: 8, isStopping: false, now: begin) == nil)
        #expect(latest.shared(changeCount: 7, isStopping: true, now: begin) == nil)
        #expect(latest.get() == report(), "metrics take the last one, whatever was noted since")
    }

    @Test func theNextHeartbeatToOneCoordinatorHasItsOwn() {
        latest.set(report(), changeCount: 7, begin: begin)
        #expect(latest.shared(changeCount: 7, isStopping: false, now: begin + .milliseconds(50)) == nil)
    }
}
