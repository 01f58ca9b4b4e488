package import WireProtocol

/// Answers a node's requests.
package protocol RequestHandler: Sendable {
    /// Called on the connection's event loop; must not block. The answer is given to `call`, now or later, from any
    /// thread; a call that is let go without an answer is answered `internalError`.
    func handle(_ request: Request, call: ServerCall)
}
