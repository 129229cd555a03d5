-- Sends the requests of a file in rotation (`METHOD path`, and the body after a tab), and prints the results as JSON.
--
--     wrk -t1 -c16 -d5s -s questions.lua http://127.0.0.1:8080 -- FILE

function init(arguments)
    local asked = {}
    for line in io.lines(arguments[1]) do
        local method, path, body = line:match("^(%u+) ([^\t]+)\t?(.*)$")
        wrk.method, wrk.path = method, path
        wrk.body = body ~= "" and body or nil
        asked[#asked + 1] = wrk.format()
    end
    -- For a single request, wrk is faster without a call of this function.
    if #asked > 1 then
        local last = 0
        request = function()
            last = last % #asked + 1
            return asked[last]
        end
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    local format = '{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "refused": %d, "broken": %d}\n'
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    local p50, p99 = latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
    io.write(string.format(format, summary.requests, summary.duration / 1e6, p50, p99, errors.status, broken))
end
