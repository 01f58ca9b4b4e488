/// What a node accepts from a peer. Each is checked before memory is given to the request.
package struct RequestLimits: Sendable, Equatable {
    /// Largest frame, header included.
    package var maxFrameBytes: Int
    /// Requests in flight on one connection.
    package var maxStreams: Int
    /// Largest `k` of a search.
    package var maxK: Int
    /// Faces in one write.
    package var maxBatch: Int
    /// Probes in one search.
    package var maxProbes: Int
    /// Bytes and time that a connection has until it is authenticated.
    package var unauthenticatedBytes: Int
    package var unauthenticatedTime: Duration

    init(reading configuration: inout LayeredConfiguration) {
        maxFrameBytes = configuration.value(KeyCatalogue.maxFrame)
        maxStreams = configuration.value(KeyCatalogue.maxStreams)
        maxK = configuration.value(KeyCatalogue.maxK)
        maxBatch = configuration.value(KeyCatalogue.maxBatch)
        maxProbes = configuration.value(KeyCatalogue.maxProbes)
        unauthenticatedBytes = configuration.value(KeyCatalogue.unauthenticatedBytes)
        unauthenticatedTime = configuration.value(KeyCatalogue.unauthenticatedTime)
    }
}
