import EmbeddingFiles

/// The text of `gallery.json`; it begins with everything that the gallery follows from, which tells a second run that
/// there is nothing to do.
enum GalleryDescription {
    /// Raised whenever equal parameters would give other rows.
    private static let generatorVersion = 1

    /// The part of the text that is known beforehand.
    static func header(parameters: GalleryParameters, output: GalleryOutput) -> String {
        var members = [
            "\"face_count\": \(parameters.faceCount)", "\"dimension\": \(parameters.dimension)",
            "\"effective_dimension\": \(parameters.effectiveDimension)",
            "\"profile\": \"\(parameters.profile.rawValue)\"", "\"seed\": \(parameters.seed)",
            "\"mean_norm\": \(parameters.meanNorm)", "\"mated_share\": \(parameters.matedShare)",
            "\"ageing_years\": \(parameters.irregularities.ageingYears)",
        ]
        for share in GalleryIrregularities.shares {
            members.append("\"\(snakeCase(share.name))\": \(parameters.irregularities[keyPath: share.path])")
        }
        var outputs = [
            "\"precision\": \"\(output.precision.rawValue)\"", "\"probe_count\": \(output.probeCount)",
            "\"hostile_row_count\": \(output.hostileRowCount)",
        ]
        if !output.includesFaces { outputs.append("\"includes_faces\": false") }
        return "{\n  \"generator_version\": \(generatorVersion),\n  \"parameters\": \(object(members)),\n"
            + "  \"output\": \(object(outputs)),\n"
    }

    static func text(
        gallery: SyntheticGallery,
        output: GalleryOutput,
        kindCounts: [String: Int],
        matedCount: Int,
        hostileKinds: [HostileRow.Kind]
    ) -> String {
        var counts = ["\"persons\": \(gallery.identityCount)"]
        if output.includesFaces { counts += FaceKind.names.map { "\"\($0)\": \(kindCounts[$0] ?? 0)" } }
        counts += ["\"mated_probes\": \(matedCount)", "\"nonmated_probes\": \(output.probeCount - matedCount)"]
        let hostile = hostileKinds.enumerated().map {
            "{\"row\": \(gallery.faceCount + $0.offset), \"kind\": \"\($0.element.rawValue)\"}"
        }
        return header(parameters: gallery.parameters, output: output)
            + "  \"counts\": \(object(counts)),\n"
            + "  \"hostile_rows\": [\(hostile.joined(separator: ", "))]\n}\n"
    }

    private static func object(_ members: [String]) -> String {
        "{\n    " + members.joined(separator: ",\n    ") + "\n  }"
    }

    private static func snakeCase(_ name: String) -> String {
        name.reduce(into: "") { text, character in
            text += character.isUppercase ? "_\(character.lowercased())" : String(character)
        }
    }
}
