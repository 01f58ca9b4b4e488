package import Foundation

extension LoadReport {
    package var json: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return try encoder.encode(self)
        }
    }

    /// - Throws: ``LoadTextError`` for anything but a report of this format whose numbers a load can have.
    package init(json: Data) throws(LoadTextError) {
        struct Format: Decodable {
            var format: Int
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            let format = try decoder.decode(Format.self, from: json).format
            guard format == Self.currentFormat else {
                throw LoadTextError("the report has format \(format); this program reads \(Self.currentFormat)")
            }
            self = try decoder.decode(LoadReport.self, from: json)
            try checkBounds()
        } catch let error as LoadTextError {
            throw error
        } catch {
            throw LoadTextError("it is no report of a load: \(error)")
        }
    }
}
