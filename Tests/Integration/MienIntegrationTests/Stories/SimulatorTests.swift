import Foundation
import Testing

extension Integration {
    @Suite struct SimulatorTests {
        /// Hash tables have another order in every process.
        @Test(.timeLimit(.minutes(1)), arguments: [5, 62, 117]) func aSeedGivesTheSameRunInEveryProcess(
            seed: Int
        ) async throws {
            try await Stage.play { stage in
                let folder = URL(filePath: try MienBinary.path()).deletingLastPathComponent()
                let command = [folder.appending(path: "mien-simulator").path, "replay", "\(seed)", "--lines", "100000"]
                let first = try await stage.run(command)
                #expect(first.status == 0 && first.output.contains("trace hash"), "\(first)")
                #expect(try await stage.run(command).output == first.output)
            }
        }
    }
}
