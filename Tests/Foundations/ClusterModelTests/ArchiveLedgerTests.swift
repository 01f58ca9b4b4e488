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
        ledger.reached([shards[0]: 7, shards[1]: 9], asOf: start)
        #expect(ledger.observation(now: start) == ArchiveObservation(), "nobody wants it")
        ledger.want([shards[0], shards[2]], ended: [shards[0]], now: start)
        #expect(ledger.wanted == [shards[0], shards[2]])
        var seen = ledger.observation(now: start + .seconds(1.2))
        #expect(seen.isNear(shards[0]) && !seen.isNear(shards[1]) && !seen.isNear(shards[2]))
        #expect(seen.has(shards[0], through: 7) && !seen.has(shards[0], through: 8))
        #expect(!seen.has(shards[2], through: 0), "nothing is known of it")
        // An archive that hangs has had it once.
        seen = ledger.observation(now: start + .seconds(1.3))
        #expect(!seen.isNear(shards[0]) && !seen.has(shards[0], through: 7))
    }

    /// What was written until the log ended may not be there, nor that nothing was.
    @Test func whatTheArchiveHadBeforeALogEndedIsNotItsEnd() {
        let ledger = ArchiveLedger()
        ledger.want([shards[0]], now: start)
        ledger.reached([shards[0]: 7], asOf: start)
        ledger.want([shards[0]], ended: [shards[0]], now: start + .milliseconds(10))
        var seen = ledger.observation(now: start + .milliseconds(20))
        #expect(seen.isNear(shards[0]) && !seen.has(shards[0], through: 7))
        ledger.reached([shards[0]: 7], asOf: start + .milliseconds(30))
        ledger.want([shards[0]], ended: [shards[0]], now: start + .milliseconds(40))
        seen = ledger.observation(now: start + .milliseconds(50))
        #expect(seen.has(shards[0], through: 7))
        // Writes went on meanwhile.
        ledger.want([shards[0]], now: start + .milliseconds(60))
        ledger.want([shards[0]], ended: [shards[0]], now: start + .milliseconds(70))
        #expect(!ledger.observation(now: start + .milliseconds(80)).has(shards[0], through: 7))
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
        ledger.reached([shards[1]: 1], asOf: start)
        #expect(count.withLock(\.self) == 0)
        ledger.reached([shards[0]: 1, shards[1]: 1], asOf: start)
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
