import ClusterController
import Testing

struct FailedCommitsTests {
    @Test func aStoreThatCannotWriteIsTriedAgainNowAndThenAndToldOnceAMinute() {
        var commits = FailedCommits()
        let isTriedUnasked = commits.isToBeTried(now: .seconds(100))
        #expect(!isTriedUnasked, "nothing failed")
        let isTold = commits.failed("The disk is full.", now: .seconds(100))
        #expect(isTold && commits.reason == "The disk is full.")
        let trials = [109, 110, 110].map { commits.isToBeTried(now: .seconds($0)) }
        #expect(trials == [false, true, false], "once it is time, and not while it is being tried")
        let again = commits.failed("The disk is full.", now: .seconds(111))
        let later = commits.failed("The disk is full.", now: .seconds(160))
        #expect(!again && later)
        let isLate = commits.succeeded(began: .seconds(159))
        #expect(!isLate && commits.reason != nil, "it was made before the failure, and is heard of after it")
        let isNews = commits.succeeded(began: .seconds(160))
        let isOld = commits.succeeded(began: .seconds(161))
        #expect(isNews && !isOld && commits.reason == nil)
        let isTriedAfterwards = commits.isToBeTried(now: .seconds(1000))
        #expect(!isTriedAfterwards)
    }
}
