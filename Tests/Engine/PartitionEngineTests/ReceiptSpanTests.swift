import PartitionEngine
import PartitionStore
import Testing

@Suite struct ReceiptSpanTests {
    private func record(_ samples: [(UInt64, UInt64)]) -> ReceiptTimesRecord {
        ReceiptTimesRecord(samples: samples.map { ReceiptTimesRecord.Sample(number: $0.0, time: $0.1) })
    }

    @Test func whatCameBehindTheLastSampleMayHaveComeJustNow() {
        let kept = record([(0, 0), (10, 100), (20, 250)])
        let spans = ReceiptSpan.all(of: 1, numbers: 5..<25, kept: kept, now: 300)
        #expect(
            spans == [
                ReceiptSpan(source: 1, numbers: 5..<10, age: 200), ReceiptSpan(source: 1, numbers: 10..<20, age: 50),
                ReceiptSpan(source: 1, numbers: 20..<25, age: 0),
            ]
        )
        #expect(ReceiptSpan.all(of: 0, numbers: 5..<15, kept: kept, now: 300).last?.numbers == 10..<15)
        #expect(
            ReceiptSpan.all(of: 0, numbers: 5..<15, kept: nil, now: 300)
                == [ReceiptSpan(source: 0, numbers: 5..<15, age: 0)]
        )
        #expect(ReceiptSpan.all(of: 0, numbers: 7..<7, kept: kept, now: 300).isEmpty)
    }

    @Test func theOldestComeFirstAndThoseOfOnePartitionInTheirOrder() {
        let first = [
            ReceiptSpan(source: 0, numbers: 0..<4, age: 90), ReceiptSpan(source: 0, numbers: 4..<6, age: 20),
            ReceiptSpan(source: 0, numbers: 6..<7, age: 20),
        ]
        let second = [
            ReceiptSpan(source: 1, numbers: 3..<5, age: 50), ReceiptSpan(source: 1, numbers: 5..<9, age: 20),
        ]
        #expect(ReceiptSpan.merged([first, second]) == [first[0], second[0], first[1], first[2], second[1]])
        #expect(ReceiptSpan.merged([]) == [])
    }
}
