import ServiceLifecycle

/// Says that a node serves, once its admin endpoint, if it is to have one, listens as well.
struct ReadyAnnouncement: Service {
    let admin: AdminEndpoint?
    /// Gets the admin endpoint's address.
    let announce: @Sendable (String?) -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            let address = await admin?.address()
            if !Task.isCancelled { announce(address) }
        }
        try await gracefulShutdown()
    }
}
