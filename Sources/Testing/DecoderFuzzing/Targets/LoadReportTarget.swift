import Foundation
import LoadGenerator

extension FuzzTarget {
    /// Reports of loads, which `mien load merge` is given.
    static let loadReports = FuzzTarget(
        name: "load-reports",
        seeds: { [Array(LoadReportTarget.sound.utf8)] },
        accepts: { LoadReportTarget.accepts($0) }
    )
}

enum LoadReportTarget {
    static func accepts(_ bytes: [UInt8]) -> Bool {
        do throws(LoadTextError) {
            let report = try LoadReport(json: Data(bytes))
            precondition(again(report) == report, "a report is another after it was written")
            show(report)
            // As it is merged with another, and a third time.
            var other = report
            other.load.seed &+= 1
            let merged = try LoadReport.merged([report, other])
            precondition(merged.all.count == 2 * report.all.count, "calls are lost, or made up")
            precondition(again(merged) == merged, "a merged report is another after it was written")
            show(merged)
            return true
        } catch {
            precondition(!error.description.isEmpty, "a refusal without a sentence")
            return false
        }
    }

    private static func again(_ report: LoadReport) -> LoadReport? {
        (try? report.json).flatMap { try? LoadReport(json: $0) }
    }

    /// As a terminal and a page have it.
    private static func show(_ report: LoadReport) {
        precondition(!report.text.isEmpty && !LoadPage(report).html.isEmpty, "a report without words")
    }

    /// A short load on a small cluster, with something of everything.
    fileprivate static let sound = """
        {"format":1,"command":"mien load people","started_at":"2026-01-31T12:00:00Z","version":"0.1.0",\
        "machine":{"processor":"one","processor_count":2,"memory_bytes":25769803776,"system":"Linux"},\
        "cluster":{"version":"0.1.0","is_own":true,"workers":[{"address":"127.0.0.1:7401","face_count":9,\
        "kernels":"avx2"}],"collection":"people","dimension":8,"shard_count":3,"replication_factor":1,\
        "face_count":1000,"index":"16 lists"},\
        "load":{"rate_per_second":2,"process":"poisson","mix":"search=1","duration_seconds":2,"warm_up_seconds":1,\
        "effort":"standard","match_limit":10,"least_coverage":0.5,"timeout_seconds":2,"retry_seconds":0,\
        "connection_count":1,"in_flight_limit":8,"process_count":1,"seed":18446744073709551615},\
        "fill":{"face_count":9,"sent_count":9,"seconds":0.5},\
        "ramp":{"objective":"p99 <= 50 ms","limit_microseconds":50000,"steps":[{"rate_per_second":2,\
        "answered_per_second":1.5,"p50":900,"at_objective":2000,"error_share":0.25,"is_met":true}],\
        "found_rate_per_second":2},\
        "totals":{"search":{"statuses":{"ok":3,"unavailable":1},"times":{"digits":3,"buckets":[900,2,2000,1]}},\
        "by-face":{"statuses":{"partial":1},"times":{"digits":3,"buckets":[70000,1]}}},\
        "pacing":{"digits":3,"buckets":[0,3,12,1]},\
        "series":{"window_seconds":1,"warm_up_seconds":1,"windows":[{"operations":{},"most_in_flight":0},\
        {"operations":{"search":{"statuses":{"ok":2},"times":{"digits":2,"buckets":[900,2]}}},"most_in_flight":2}]},\
        "faults":[{"what":"worker 2 killed","from_seconds":1.2,"to_seconds":1.9}],\
        "truth":{"findings":{"counts":{"lost":1},"examples":["lost: one"]},"written_face_count":2,\
        "uncertain_face_count":0,"checked_answer_count":3,"checked_match_count":30,"flagged_partial_count":1,\
        "mated_search_count":2,"mate_found_count":2,"compared_answer_count":1,"required_match_count":9,\
        "found_match_count":8,"required_mate_count":1,"found_mate_count":1,"read_back_count":2,"embedding_count":1,\
        "readable_count":2,"deleted_search_count":1,"least_face_change":-1,"most_face_change":2,\
        "final_face_count":1001,"unchecked":["the rest"]},\
        "objective":"p99 <= 50 ms, errors <= 0.1 %","objective_is_met":false}
        """
}
