import ClusterController
import Testing

struct PlanningPauseTests {
    /// A burst of heartbeats leads to few plans, a cluster that takes up to half a second to plan has half of the time
    /// for the rest, and nothing waits long.
    @Test(arguments: [(0, 20), (1, 20), (20, 20), (60, 60), (500, 500), (5000, 500)])
    func plansAreApartAsLongAsOneTakesUpToHalfASecond(took: Int, pause: Int) {
        #expect(ClusterController.pause(afterPlanningFor: .milliseconds(took)) == .milliseconds(pause))
    }
}
