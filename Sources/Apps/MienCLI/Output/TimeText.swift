import EmbeddingFiles
import FaceModel
import Glibc
import MienClient

/// Times as RFC 3339 text in UTC, with milliseconds only where there are any: as files of faces have them.
enum TimeText {
    /// The wall clock's time, to the second.
    static var now: String { text(Face.Timestamp(millisecondsSince1970: Int64(time(nil)) * 1000)) }

    /// The wall clock's time.
    static var milliseconds: Int64 { Timestamp.wallClock.milliseconds }

    static func text(_ time: Face.Timestamp) -> String {
        TimestampText.format(milliseconds: time.millisecondsSince1970)
    }
}
