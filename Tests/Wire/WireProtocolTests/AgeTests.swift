import FaceModel
import Testing
import WireProtocol

/// How old a write is said to be that is sent again.
struct AgeTests {
    private func read(_ age: Duration) throws -> Duration {
        let request = DeleteFaces(
            collection: "gallery",
            key: IdempotencyKey(high: 1, low: 2),
            age: age,
            ids: [FaceID(high: 3, low: 4)]
        )
        return try Wire.decode(Wire.payloadBytes(request), like: request).age
    }

    @Test func agesAreRoundedUpToMilliseconds() throws {
        #expect(try read(.zero) == .zero)
        #expect(try read(.nanoseconds(1)) == .milliseconds(1))
        #expect(try read(.milliseconds(UInt32.max - 1)) == .milliseconds(UInt32.max - 1))
    }

    /// An age of 60 days that is told as 49.7 would have a write done twice.
    @Test func anAgeThatIsLongerThanCanBeSaidIsReadAsLongerThanAny() throws {
        for age in [Duration.milliseconds(UInt32.max), .seconds(60 * 86_400), .seconds(10 * 365 * 86_400)] {
            let once = try read(age)
            #expect(once > .seconds(90 * 365 * 86_400))
            // Nodes pass it on.
            #expect(try read(once) == once && read(once + .seconds(5)) == once)
        }
    }
}
