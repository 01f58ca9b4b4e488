/// One thing that is wrong with a configuration, where, and what to do about it. Never carries a secret.
package enum ConfigurationProblem: Error, Equatable, Sendable, CustomStringConvertible {
    case unreadableFile(path: String, reason: String)
    case invalidYAML(ConfigurationPlace, reason: String)
    /// `known`: the keys of the nearest enclosing section, sorted.
    case unknownKey(ConfigurationPlace, key: String, nearest: String?, known: [String])
    /// `known`: the variables of the same section, sorted; empty where the name begins like none.
    case unknownVariable(ConfigurationPlace, name: String, nearest: String?, known: [String])
    /// `key` is the last component; the place is its second line where that can be told, else its first.
    case duplicateKey(ConfigurationPlace, key: String, firstLine: Int)
    case wrongShape(ConfigurationPlace, key: String, expected: String, found: String)
    case invalidValue(ConfigurationPlace, key: String, text: String, allowed: String)
    case unusedKey(ConfigurationPlace, key: String, instead: String)
    case conflictingValues(ConfigurationPlace, reason: String)
    case portClash(ConfigurationPlace, key: String, otherKey: String, address: String)
    /// A bind beyond loopback; `missing` of "TLS", "a token" or both.
    case unprotectedListener(ConfigurationPlace, key: String, address: String, missing: [String])
    case missingAdvertise(ConfigurationPlace, key: String, address: String)
    case invalidToken(ConfigurationPlace, reason: String)
    case exposedSecretFile(ConfigurationPlace, key: String, path: String, permissions: UInt32, command: String)
    case unusableFile(ConfigurationPlace, key: String, path: String, reason: String)

    package var place: ConfigurationPlace {
        switch self {
        case .unreadableFile(let path, _): .file(path: path, line: 0)
        case .invalidYAML(let place, _), .unknownKey(let place, _, _, _), .unknownVariable(let place, _, _, _),
            .duplicateKey(let place, _, _),
            .wrongShape(let place, _, _, _), .invalidValue(let place, _, _, _), .unusedKey(let place, _, _),
            .conflictingValues(let place, _), .portClash(let place, _, _, _), .unprotectedListener(let place, _, _, _),
            .missingAdvertise(let place, _, _), .invalidToken(let place, _), .exposedSecretFile(let place, _, _, _, _),
            .unusableFile(let place, _, _, _):
            place
        }
    }

    package var description: String {
        switch self {
        case .unreadableFile(let path, let reason): "\(path): cannot be read: \(reason)"
        default: "\(place): \(sentence)"
        }
    }

    private var sentence: String {
        switch self {
        case .unreadableFile(_, let reason), .invalidYAML(_, let reason), .conflictingValues(_, let reason),
            .invalidToken(_, let reason):
            reason
        case .unknownKey(_, let key, let nearest, let known):
            "\(shown(key)) is not a known key" + (nearest.map { "; did you mean \($0)? Known" } ?? "; known")
                + " here: \(known.joined(separator: ", "))"
        case .unknownVariable(_, let name, let nearest, let known):
            "\(shown(name)) is not a known variable" + (nearest.map { "; did you mean \($0)?" } ?? "")
                + (known.isEmpty
                    ? "" : "\(nearest == nil ? "; known" : " Known") here: \(known.joined(separator: ", "))")
        case .duplicateKey(_, let key, let firstLine):
            "\(shown(key)) is set again; it is already set on line \(firstLine)"
        case .wrongShape(_, let key, let expected, let found):
            "\(key) must be \(expected), but is \(found)"
        case .invalidValue(_, let key, let text, let allowed):
            "\(key) must be \(allowed), but is \(text.isEmpty ? "empty" : "\"\(shown(text))\"")"
        case .unusedKey(_, let key, let instead):
            "\(key) is not used by mien dev, which places its nodes itself; \(instead)"
        case .portClash(_, let key, let otherKey, let address):
            "\(key) and \(otherKey) both listen on \(address); give one of them another port"
        case .unprotectedListener(_, let key, let address, let missing):
            "\(key) is \(address), which other machines can reach, without \(missing.joined(separator: " and ")); "
                + "set \(missing.map(remedy).joined(separator: " and ")), or listen on 127.0.0.1"
        case .missingAdvertise(_, let key, let address):
            "\(key) must be set to an address that other nodes can connect to, because \(address) stands for "
                + "every interface"
        case .exposedSecretFile(_, let key, let path, let permissions, let command):
            "\(key): \(path) has mode 0\(String(permissions, radix: 8)), so other users can read it; run: \(command)"
        case .unusableFile(_, let key, let path, let reason):
            "\(key): \(path) cannot be read: \(reason)"
        }
    }

    private func remedy(_ missing: String) -> String {
        missing == "TLS" ? "tls.certificate and tls.private_key" : "MIEN_TOKEN or token_file"
    }
}

/// At most 80 characters of outside text, with control characters replaced, so that a message stays on its line.
private func shown(_ text: String) -> String {
    let line = String(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) })
    return line.count <= 80 ? line : line.prefix(77) + "..."
}
