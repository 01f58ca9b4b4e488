/// gRPC's codes, as the gateway passes them on.
enum GatewayCode {
    static let notFound = 5
    static let outOfRange = 11
    static let unauthenticated = 16
    /// Those after which a change may have been made all the same: unknown, deadline exceeded, aborted, internal,
    /// unavailable, data loss, and cancelled.
    static let unsettled: Set = [1, 2, 4, 10, 13, 14, 15]
    /// Whatever the code, these words mean that users or roles were changed since the token was given, and nothing was
    /// done.
    static let outdatedToken = ["etcdserver: revision of auth store is old", "auth: revision in header is old"]
    /// Whatever the code, these words mean that no change was begun. A member that stops is none of them: it may have
    /// handed the change over to the others before.
    static let harmless = ["etcdserver: no leader", "etcdserver: not capable"]
}
