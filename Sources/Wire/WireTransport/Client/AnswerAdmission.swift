package import WireProtocol

/// Decides whether an answer that has come may be kept, by its bytes, before it is read.
package protocol AnswerAdmission: AnyObject, Sendable {
    /// - Throws: what the call ends with instead.
    func received(_ byteCount: Int) throws(WireStatus)
}
