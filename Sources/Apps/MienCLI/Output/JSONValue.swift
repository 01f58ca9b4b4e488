import EmbeddingFiles

/// A JSON text whose members keep their order, so that equal results give equal text.
package indirect enum JSONValue: Sendable {
    case object([(String, JSONValue)])
    case array([JSONValue])
    case string(String)
    case integer(Int64)
    /// Finite; shown by the shortest text that reads back as the same `Double`.
    case number(Double)
    case flag(Bool)
    case null

    static func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
    static func count(_ value: Int) -> JSONValue { .integer(Int64(value)) }
    static func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }

    /// The shortest decimal text that reads back as the same `Float`.
    static func number(_ value: Float) -> JSONValue { .number(Double(value.description) ?? Double(value)) }

    /// In one line.
    package var line: String {
        switch self {
        case .object(let members):
            "{" + members.map { "\(JSONText.quoted($0.0)):\($0.1.line)" }.joined(separator: ",") + "}"
        case .array(let values): "[" + values.map(\.line).joined(separator: ",") + "]"
        default: scalar
        }
    }

    /// With each member on a line of its own.
    package var document: String { indented("") + "\n" }

    private func indented(_ margin: String) -> String {
        let inner = margin + "  "
        switch self {
        case .object(let members) where !members.isEmpty:
            let lines = members.map { "\(inner)\(JSONText.quoted($0.0)): \($0.1.indented(inner))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(margin)}"
        case .array(let values) where !values.isEmpty:
            return "[\n" + values.map { inner + $0.indented(inner) }.joined(separator: ",\n") + "\n\(margin)]"
        default: return line
        }
    }

    private var scalar: String {
        switch self {
        case .string(let text): JSONText.quoted(text)
        case .integer(let value): "\(value)"
        case .number(let value):
            value.isFinite ? (value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)") : "null"
        case .flag(let value): value ? "true" : "false"
        case .null, .object, .array: "null"
        }
    }
}
