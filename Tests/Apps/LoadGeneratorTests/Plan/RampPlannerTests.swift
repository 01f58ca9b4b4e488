import LoadGenerator
import Testing

@Suite struct RampPlannerTests {
    /// Plays a ramp against a cluster that meets its objective up to a rate.
    private static func play(_ text: String, capacity: Double) throws -> (rates: [Double], found: Double?) {
        var planner = try RampPlanner(text)
        var rates: [Double] = []
        while let rate = planner.nextRate {
            rates.append(rate)
            planner.note(rate: rate, isMet: rate <= capacity)
            #expect(rates.count < 50)
        }
        return (rates, planner.found)
    }

    @Test func theHighestRateIsFoundWithinTheStatedPrecision() throws {
        let (rates, found) = try Self.play("from=100,factor=2,each=5s", capacity: 1234)
        #expect(rates.prefix(6) == [100, 200, 400, 800, 1600, 1600])
        #expect(try #require(found) <= 1234 && 1234 < (found ?? 0) * 1.05)
        #expect(rates.count <= 14)
    }

    @Test func aFirstRateThatIsTooHighIsHalved() throws {
        let (rates, found) = try Self.play("from=1000,each=5s", capacity: 300)
        #expect(rates.prefix(5) == [1000, 1000, 500, 500, 250])
        #expect(try #require(found) <= 300 && 300 < (found ?? 0) * 1.05)
    }

    @Test func aRateThatFailsOnceIsTriedAgain() throws {
        var planner = try RampPlanner("from=100,to=200,factor=2,each=5s")
        planner.note(rate: 100, isMet: false)
        #expect(planner.nextRate == 100)
        planner.note(rate: 100, isMet: true)
        #expect(planner.nextRate == 200 && planner.found == 100)
    }

    @Test func aRampEndsWhereItIsToldAndGivesUpWhenNothingWorks() throws {
        let (rates, found) = try Self.play("from=100,to=350,factor=2,each=5s", capacity: .infinity)
        #expect(rates == [100, 200, 350] && found == 350)
        #expect(try Self.play("from=100,each=5s", capacity: 0).found == nil)
    }

    @Test(arguments: [
        "", "from=0", "from=0.0009", "factor=1", "each=10ms", "each=169h", "to=5", "within=5", "until=3",
    ])
    func badRampsAreRefused(_ text: String) {
        #expect(throws: LoadTextError.self) { try RampPlanner(text) }
    }
}
