import ClusterModel
import FaceModel
import NIOCore
import QueryRouter
import Testing

struct ReadChoiceTests {
    private let workers = (1...3).map { NodeID(high: 1, low: $0) }
    private let shard = ShardID(collection: CollectionID(high: 1, low: 1), index: 0)
    private var group: ReplicaGroup {
        ReplicaGroup(epoch: Epoch(1), version: 1, primary: workers[0], inSync: workers, minimumInSync: 1)
    }

    private func time(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(1_000_000 * milliseconds)) }

    private func choice(share: Double = 0.1, reserve: Double = 2) -> ReadChoice {
        ReadChoice(
            limits: .init(
                leastHedgeDelay: .milliseconds(20),
                hedgeFactor: 3,
                hedgeShare: share,
                hedgeReserve: reserve,
                avoidance: .seconds(1)
            )
        )
    }

    @Test func everyReplicaIsFirstEquallyOften() {
        var choice = choice()
        var counts: [NodeID: Int] = [:]
        for _ in 0..<30 {
            let order = choice.order(group, now: time(0)) { _ in false }
            #expect(Set(order) == Set(workers) && order.count == 3)
            counts[order[0], default: 0] += 1
        }
        #expect(workers.map { counts[$0] } == [10, 10, 10])
    }

    @Test func whoFailedComesAfterTheOthersForAWhile() {
        var choice = choice()
        choice.avoid(workers[1], now: time(0))
        for _ in 0..<6 {
            let order = choice.order(group, now: time(500)) { _ in false }
            #expect(order.last == workers[1])
        }
        // Who is away comes last of all.
        for _ in 0..<6 {
            let order = choice.order(group, now: time(500)) { $0 == workers[0] }
            #expect(order == [workers[2], workers[1], workers[0]])
        }
        let later = (0..<3).map { _ in choice.order(group, now: time(1500)) { _ in false }[0] }
        #expect(later.contains(workers[1]))
    }

    @Test func aColdReplicaGetsASmallShareUntilItIsWarm() {
        var choice = choice()
        func counts(_ reads: Int, _ warmth: [Double]) -> [Int] {
            var counts = [0, 0, 0]
            for _ in 0..<reads {
                let order = choice.order(
                    group,
                    now: time(0),
                    warmth: { worker in warmth[workers.firstIndex(of: worker)!] },
                    isAbsent: { _ in false }
                )
                #expect(Set(order) == Set(workers) && order.count == 3)
                counts[workers.firstIndex(of: order[0])!] += 1
            }
            return counts
        }
        // 16 for each warm one, and 1.
        let oneCold = counts(3300, [1, 0.2, 1])
        #expect((95...105).contains(oneCold[1]), "\(oneCold)")
        #expect((1590...1610).contains(oneCold[0]) && (1590...1610).contains(oneCold[2]), "\(oneCold)")
        let twoCold = counts(1800, [0, 0.5, 0.95])
        #expect((95...105).contains(twoCold[0]) && (95...105).contains(twoCold[1]), "\(twoCold)")
        // Where none is warm, or all are, all are alike.
        #expect(counts(30, [0.1, 0.2, 0.3]) == [10, 10, 10])
        #expect(counts(30, [1, 0.9, 0.95]) == [10, 10, 10])
    }

    @Test func aColdReplicaIsAskedAfterWarmOnesAndBeforeThoseThatFailed() {
        var choice = choice()
        choice.avoid(workers[2], now: time(0))
        var firstCount = 0
        for _ in 0..<170 {
            let order = choice.order(group, now: time(500), warmth: { $0 == workers[1] ? 0 : 1 }) { _ in false }
            #expect(order[2] == workers[2])
            if order[0] == workers[1] { firstCount += 1 }
        }
        // The turns of the one that failed go to the others.
        #expect((1...20).contains(firstCount), "\(firstCount)")
        for _ in 0..<170 {
            let order = choice.order(group, now: time(500), warmth: { $0 == workers[1] ? 0 : 1 }) { $0 == workers[0] }
            #expect(order.last == workers[0])
        }
    }

    @Test func theDelayFollowsTheMedianOfTheShard() {
        var choice = choice()
        #expect(choice.hedgeDelay(shard) == .milliseconds(20))
        var times = [Int](repeating: 100, count: 80) + [Int](repeating: 4000, count: 20)
        // Any order without long runs of one kind.
        times = times.indices.map { times[$0 * 37 % 100] }
        for _ in 0..<5 {
            for time in times {
                choice.answered(shard, by: workers[0], took: .milliseconds(time), now: self.time(0))
            }
        }
        #expect(choice.hedgeDelay(shard) > .milliseconds(200) && choice.hedgeDelay(shard) < .milliseconds(450))
        let other = ShardID(collection: shard.collection, index: 1)
        #expect(choice.hedgeDelay(other) == .milliseconds(20))
    }

    @Test func hedgesAreAShareOfTheReads() {
        var choice = choice(share: 0.1, reserve: 2)
        var hedgeCount = 0
        for _ in 0..<100 {
            _ = choice.order(group, now: time(0)) { _ in false }
            if choice.mayHedge(from: workers[0], to: workers[1], now: time(0)) { hedgeCount += 1 }
        }
        #expect((10...12).contains(hedgeCount))
    }

    @Test func movingAwayFromASlowWorkerIsFreeUnlessTheOtherIsSlowToo() {
        var choice = choice(share: 0, reserve: 0)
        func mayHedge(now: Int64) -> Bool { choice.mayHedge(from: workers[0], to: workers[1], now: time(now)) }
        #expect(!mayHedge(now: 0))
        choice.avoid(workers[0], now: time(0))
        for _ in 0..<100 { #expect(mayHedge(now: 10)) }
        choice.avoid(workers[1], now: time(10))
        #expect(!mayHedge(now: 20))
    }
}
