import ClusterModel
import FaceModel
import Synchronization
import Testing

struct ArchiveLedgerTests {
    private let shards = (0..<3 as Range<UInt32>).map {
        ShardID(collection: CollectionID(high: 1, low: 2), index: $0)
    }
    private let start = ContinuousClock.now

    @Test func whatTheArchiveHadAMomentAgoCounts() {
        let ledger = ArchiveLedger()
        ledger.reached([shards[0]: 7, shards[1]: 9], asOf: start, now: start)
        #expect(ledger.observation(now: start) == ArchiveObservation(), "nobody wants it")
        ledger.want([shards[0], shards[2]], ended: [shards[0]], now: start)
        #expect(ledger.wanted == [shards[0], shards[2]])
        var seen = ledger.observation(now: start + .seconds(2.9))
        #expect(seen.isNear(shards[0]) && !seen.isNear(shards[1]) && !seen.isNear(shards[2]))
        #expect(seen.has(shards[0], through: 7) && !seen.has(shards[0], through: 8))
        #expect(!seen.has(shards[2], through: 0), "nothing is known of it")
        // An archive that hangs has had it once.
        seen = ledger.observation(now: start + .seconds(3))
        #expect(!seen.isNear(shards[0]) && !seen.has(shards[0], through: 7))
        // Of a log that goes on less time has to have passed.
        ledger.want([shards[0]], now: start + .seconds(4))
        ledger.reached([shards[0]: 8], asOf: start + .seconds(4), now: start + .seconds(5))
        #expect(ledger.observation(now: start + .seconds(5.9)).isNear(shards[0]))
        #expect(!ledger.observation(now: start + .seconds(6)).isNear(shards[0]))
    }

    /// What was written until the log ended may not be there, nor that nothing was.
    @Test func whatTheArchiveHadBeforeALogEndedIsNotItsEnd() {
        let ledger = ArchiveLedger()
        ledger.want([shards[0]], now: start)
        ledger.reached([shards[0]: 7], asOf: start, now: start + .milliseconds(5))
        ledger.want([shards[0]], ended: [shards[0]], now: start + .milliseconds(10))
        var seen = ledger.observation(now: start + .milliseconds(20))
        #expect(seen.isNear(shards[0]) && !seen.has(shards[0], through: 7))
        // Nor if it knew of it after the end.
        ledger.reached([shards[0]: 7], asOf: start + .milliseconds(9), now: start + .milliseconds(25))
        #expect(!ledger.observation(now: start + .milliseconds(26)).has(shards[0], through: 7))
        ledger.reached([shards[0]: 7], asOf: start + .milliseconds(30), now: start + .milliseconds(35))
        ledger.want([shards[0]], ended: [shards[0]], now: start + .milliseconds(40))
        seen = ledger.observation(now: start + .milliseconds(50))
        #expect(seen.has(shards[0], through: 7))
        // Writes went on meanwhile.
        ledger.want([shards[0]], now: start + .milliseconds(60))
        ledger.want([shards[0]], ended: [shards[0]], now: start + .milliseconds(70))
        #expect(!ledger.observation(now: start + .milliseconds(80)).has(shards[0], through: 7))
    }

    /// A place that is slow, and not away.
    @Test func aTurnCountsFromItsEndUnlessItTookLongerThanWritesMayWait() {
        let ledger = ArchiveLedger()
        ledger.want([shards[0]], now: start)
        ledger.reached([shards[0]: 7], asOf: start, now: start + .seconds(1.5))
        #expect(ledger.observation(now: start + .seconds(2.4)).isNear(shards[0]))
        ledger.want([shards[0]], ended: [shards[0]], now: start + .seconds(2.4))
        ledger.reached([shards[0]: 7], asOf: start + .seconds(2.5), now: start + .seconds(4))
        #expect(ledger.observation(now: start + .seconds(4.1)).has(shards[0], through: 7))
        // Writes would have to go on before one came to its end.
        ledger.want([shards[0]], now: start + .seconds(5))
        ledger.reached([shards[0]: 8], asOf: start + .seconds(5), now: start + .seconds(8))
        var seen = ledger.observation(now: start + .seconds(8))
        #expect(!seen.isNear(shards[0]) && seen.longTurn == .seconds(3))
        #expect(ledger.demand(now: start + .seconds(8)) == ArchiveDemand(due: [shards[0]]))
        ledger.reached([shards[0]: 9], asOf: start + .seconds(8), now: start + .seconds(10))
        seen = ledger.observation(now: start + .seconds(10))
        #expect(seen.isNear(shards[0]) && seen.longTurn == nil)
    }

    /// A turn that begins before the logs end has them not, and writes would wait for two.
    @Test func whoArchivesWaitsForTheEndsOfLogsThatItHasNearly() {
        let ledger = ArchiveLedger()
        // Whoever archives may have begun something long since.
        ledger.reached([shards[0]: 7], asOf: start, now: start)
        ledger.want([shards[0], shards[1]], now: start + .milliseconds(10))
        #expect(!ledger.observation(now: start + .milliseconds(20)).isNear(shards[0]))
        #expect(ledger.demand(now: start + .milliseconds(20)) == ArchiveDemand(due: [shards[0], shards[1]]))
        ledger.reached([shards[0]: 7], asOf: start + .milliseconds(30), now: start + .milliseconds(40))
        #expect(ledger.demand(now: start + .milliseconds(50)) == ArchiveDemand(isPressing: true))
        // The archive is near for less time than the ends are waited for.
        let (before, after) = (start + .seconds(1.3), start + .seconds(1.4))
        #expect(!ledger.observation(now: before).isNear(shards[0]))
        #expect(ledger.demand(now: before) == ArchiveDemand(isPressing: true))
        #expect(ledger.demand(now: after) == ArchiveDemand(due: [shards[0], shards[1]]))
        // One that has ended goes before all others, until the archive has it.
        ledger.want([shards[0], shards[1]], ended: [shards[0]], now: after)
        #expect(ledger.demand(now: after) == ArchiveDemand(due: [shards[0]], isPressing: true))
        ledger.reached([shards[0]: 7], asOf: after, now: after)
        #expect(ledger.demand(now: after) == ArchiveDemand(due: [shards[1]]))
        ledger.want([], now: after)
        #expect(ledger.demand(now: after) == ArchiveDemand())
    }

    @Test func nobodyWaitsForACollectionForWhichNothingCanBeDone() {
        let ledger = ArchiveLedger()
        let (failed, other) = (shards[0], ShardID(collection: CollectionID(high: 7, low: 7), index: 0))
        ledger.want([failed, other], ended: [failed], now: start)
        #expect(ledger.demand(now: start) == ArchiveDemand(due: [failed], isPressing: true))
        let left = Set([failed.collection])
        #expect(ledger.demand(now: start, leavingOut: left) == ArchiveDemand(due: [other]))
        ledger.want([failed, other], ended: [failed, other], now: start)
        #expect(ledger.demand(now: start, leavingOut: left) == ArchiveDemand(due: [other], isPressing: true))
        ledger.want([failed], ended: [failed], now: start)
        #expect(ledger.demand(now: start, leavingOut: left) == ArchiveDemand())
    }

    @Test func whoWaitsForLongEnoughWaitsNoMore() {
        let ledger = ArchiveLedger(patience: .seconds(60))
        ledger.want([shards[0]], now: start)
        ledger.want([shards[0], shards[1]], now: start + .seconds(50))
        #expect(ledger.observation(now: start + .seconds(59)).givenUp.isEmpty)
        let seen = ledger.observation(now: start + .seconds(60))
        #expect(seen.givenUp == [shards[0]] && seen.isNear(shards[0]) && seen.has(shards[0], through: .max))
        // A worker that is away for a moment does not begin it anew.
        ledger.want([shards[0], shards[1]], now: start + .seconds(60))
        ledger.want([], now: start + .seconds(61))
        #expect(ledger.observation(now: start + .seconds(62)) == ArchiveObservation() && ledger.wanted.isEmpty)
        ledger.want([shards[1]], now: start + .seconds(63))
        ledger.want([shards[0], shards[1]], now: start + .seconds(69))
        #expect(ledger.observation(now: start + .seconds(69)).givenUp == [shards[0]])
        // What is wanted for another reason is waited for anew.
        ledger.want([shards[1]], now: start + .seconds(80))
        ledger.want([shards[0], shards[1]], now: start + .seconds(81))
        #expect(ledger.observation(now: start + .seconds(115)).givenUp == [shards[1]])
    }

    @Test func whoWaitsIsTold() {
        let ledger = ArchiveLedger()
        let count = Mutex(0)
        ledger.whenReached { count.withLock { $0 += 1 } }
        ledger.want([shards[0]], now: start)
        ledger.reached([shards[1]: 1], asOf: start, now: start)
        #expect(count.withLock(\.self) == 0)
        ledger.reached([shards[0]: 1, shards[1]: 1], asOf: start, now: start)
        #expect(count.withLock(\.self) == 1)
    }

    @Test func endsAreThoseOfACollection() {
        let ledger = ArchiveLedger()
        let other = ShardID(collection: CollectionID(high: 5, low: 5), index: 0)
        ledger.end([shards[0]: 3, shards[1]: 4, other: 9])
        ledger.end([shards[1]: 5])
        #expect(ledger.ends(of: other.collection) == [0: 9])
        #expect(ledger.ends(of: shards[0].collection) == [0: 3, 1: 5])
        ledger.forgetEnds(of: [shards[0]])
        #expect(ledger.ends(of: shards[0].collection) == [1: 5])
    }
}
