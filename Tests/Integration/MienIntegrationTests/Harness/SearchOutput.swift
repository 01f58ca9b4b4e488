import Foundation

extension CommandResult {
    /// The probes and the summary of `mien search --json`.
    func search() throws -> (probes: [ProbeLine], summary: SearchSummaryLine.Summary) {
        guard let last = lines.last else { throw StoryError("the search wrote nothing\n\(self)") }
        let decoder = JSONDecoder()
        do {
            let probes = try lines.dropLast().map { try decoder.decode(ProbeLine.self, from: Data($0.utf8)) }
            return (probes, try decoder.decode(SearchSummaryLine.self, from: Data(last.utf8)).summary)
        } catch {
            throw StoryError("the search wrote something else than its documents: \(error)\n\(self)")
        }
    }
}
