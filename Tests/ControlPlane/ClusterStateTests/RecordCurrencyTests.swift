import ClusterState
import Testing

/// What workers derive their leases from: the age must never be told too low.
struct RecordCurrencyTests {
    @Test func withoutACommitAnExclusiveStoresRecordsAreThoseInMemory() {
        var currency = RecordCurrency(isExclusive: true)
        #expect(currency.age(now: .seconds(100)) == .zero)
        currency.commitBegins(now: .seconds(100))
        #expect(currency.age(now: .seconds(101)) == .seconds(1))
        currency.wasRead(began: .seconds(102))
        #expect(currency.age(now: .seconds(103)) == .seconds(1))
        currency.commitEnded(isRead: true, now: .seconds(104))
        #expect(currency.age(now: .seconds(105)) == .zero)
    }

    @Test func commitsThatOverlapCountFromTheFirst() {
        var currency = RecordCurrency(isExclusive: true)
        currency.commitBegins(now: .seconds(10))
        currency.commitBegins(now: .seconds(11))
        currency.commitEnded(isRead: true, now: .seconds(12))
        #expect(currency.age(now: .seconds(13)) == .seconds(3))
        currency.commitEnded(isRead: true, now: .seconds(14))
        #expect(currency.age(now: .seconds(15)) == .zero)
    }

    @Test func aCommitWhoseEndNobodyReadLeavesADoubtUntilALaterRead() {
        var currency = RecordCurrency(isExclusive: true)
        currency.commitBegins(now: .seconds(10))
        currency.commitEnded(isRead: false, now: .seconds(12))
        #expect(currency.age(now: .seconds(20)) == .seconds(10))
        // It began before the end, and may have seen nothing of it.
        currency.wasRead(began: .seconds(11))
        #expect(currency.age(now: .seconds(20)) == .seconds(9))
        currency.wasRead(began: .seconds(19))
        #expect(currency.age(now: .seconds(20)) == .zero)
    }

    @Test func recordsThatWereReadBeforeTheStartAreOlderThanThat() {
        let shared = RecordCurrency(isExclusive: false, confirmed: .seconds(-2))
        #expect(shared.age(now: .zero) == .seconds(2) && shared.age(now: .seconds(1)) == .seconds(3))
        // Nobody can have changed them since.
        let exclusive = RecordCurrency(isExclusive: true, confirmed: .seconds(-2))
        #expect(exclusive.age(now: .seconds(1)) == .zero)
    }

    @Test func ofASharedStoreOnlyTheStartOfAReadCounts() {
        var currency = RecordCurrency(isExclusive: false)
        #expect(currency.age(now: .seconds(5)) == .seconds(5))
        currency.wasRead(began: .seconds(4))
        #expect(currency.age(now: .seconds(5)) == .seconds(1))
        // A slower one that began earlier takes nothing back.
        currency.wasRead(began: .seconds(3))
        #expect(currency.age(now: .seconds(5)) == .seconds(1))
    }
}
