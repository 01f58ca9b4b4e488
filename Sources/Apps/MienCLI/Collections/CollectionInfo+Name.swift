import MienClient

extension CollectionInfo {
    /// Makes sure that what was read by the collection's name since it was described was this collection's.
    ///
    /// - Throws: also when it is not there any more, be it that another has its name.
    func checkHasName(_ client: MienClient) async throws(CommandFailure) {
        let name = options.name
        let current = try await calling { () async throws(MienClientError) in try await client.describe(name) }
        guard current.id == id else {
            throw CommandFailure(
                .no,
                "the collection \(name) was deleted while it was read, and another has its name: run the command again"
            )
        }
    }
}
