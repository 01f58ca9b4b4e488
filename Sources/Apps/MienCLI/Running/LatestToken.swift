import MienClient

/// A token that makes the reads which carry it strong.
func latestToken(of collection: String, _ client: MienClient) async throws(CommandFailure) -> WriteToken {
    try await calling { () async throws(MienClientError) in try await client.latestToken(of: collection) }
}
