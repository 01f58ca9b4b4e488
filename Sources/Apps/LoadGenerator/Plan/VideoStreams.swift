/// Cameras that send frames at a fixed rate, each with the faces of people who stay in the picture for a while:
/// `count=4,fps=10,faces=3,track=5s`.
package struct VideoStreams: Sendable, Equatable {
    package static let example = "count=4,fps=10,faces=3,track=5s"

    package var count = 1
    package var framesPerSecond = 10.0
    /// Faces in each frame.
    package var faceCount = 3
    /// How long one person stays in the picture.
    package var trackDuration = Duration.seconds(5)

    package init(_ text: String) throws(LoadTextError) {
        for (key, value) in try LoadText.pairs(text, what: "the streams", example: Self.example) {
            switch key {
            case "count": count = try Self.count(value, key, limit: 10_000)
            case "faces": faceCount = try Self.count(value, key, limit: 1000)
            case "fps":
                guard let rate = Double(value), rate > 0, rate <= 1000 else {
                    throw LoadTextError("fps must be above 0 and at most 1000 frames a second, not '\(value)'")
                }
                framesPerSecond = rate
            case "track":
                trackDuration = try LoadText.duration(value)
                guard trackDuration >= .milliseconds(1) else { throw LoadTextError("track must be at least 1ms") }
            default:
                throw LoadTextError("'\(key)' is no part of the streams; there are count, fps, faces and track")
            }
        }
    }

    /// Such as `4 streams of 10 frames/s with 3 faces, each for 5 s`.
    package var description: String {
        "\(count) \(count == 1 ? "stream" : "streams") of \(FigureText.digits(framesPerSecond)) frames/s with "
            + "\(faceCount) \(faceCount == 1 ? "face" : "faces"), each for "
            + FigureText.seconds(trackDuration / .seconds(1))
    }

    private static func count(_ text: String, _ key: String, limit: Int) throws(LoadTextError) -> Int {
        guard let count = Int(text), (1...limit).contains(count) else {
            throw LoadTextError("\(key) must be from 1 to \(limit), not '\(text)'")
        }
        return count
    }

    /// Which of a pool of persons is in one place of a stream's picture at a moment.
    package func person(stream: Int, place: Int, at time: Duration, of poolCount: Int) -> Int {
        // Places change hands at different moments.
        let phase = Double((stream &* 31 &+ place &* 17) % 100) / 100
        let track = Int(time / trackDuration + phase)
        var mixed = UInt64(truncatingIfNeeded: stream) &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ UInt64(truncatingIfNeeded: place)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ UInt64(truncatingIfNeeded: track)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return Int(mixed % UInt64(poolCount))
    }
}
