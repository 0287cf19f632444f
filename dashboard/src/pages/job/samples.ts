import { useEffect, useRef, useState } from 'react'
import { follow } from './follow'
import { isOver, type Job, lastAttempt } from './shape'

export interface Sample {
  attempt: number
  /** Seconds since the attempt began. */
  at: number
  cputime: { user: number | null; system: number | null }
  memory: { usage: number | null; max_usage: number | null; cache: number | null }
  swap: { usage: number | null }
  disk: { usage: number | null; read: number | null; written: number | null }
  network: { in: number | null; out: number | null }
  processes: number | null
}

const rank = (one: Sample) => one.attempt * 1e9 + one.at

/** What a job has used over time, of its newest attempt, oldest first; undefined = it is not known yet. */
export function useSamples(job: Job): Sample[] | undefined {
  const [found, setFound] = useState<{ jid: number; all: Sample[] }>()
  const over = useRef(false)
  useEffect(() => {
    over.current = isOver(job)
  })
  const { jid } = job
  const begun = lastAttempt(job)?.started != null
  useEffect(() => {
    if (!begun) return
    let all: Sample[] = []
    let rest = ''
    const decoder = new TextDecoder()
    let timer: ReturnType<typeof setTimeout> | undefined
    const tell = () => {
      timer = undefined
      setFound({ jid, all })
    }
    const stop = follow({
      path: '/v1/job/{jid}/samples',
      params: () => {
        rest = ''
        return { jid }
      },
      take: (bytes) => {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
        rest = lines.pop() ?? ''
        const last = all.at(-1)
        const news = lines.filter(Boolean).map((line) => JSON.parse(line) as Sample).filter((one) => !last || rank(one) > rank(last))
        if (!news.length) return
        const attempt = news.at(-1)?.attempt
        all = [...all, ...news].filter((one) => one.attempt === attempt)
        timer ??= setTimeout(tell, 50)
      },
      over: () => over.current,
      refused: tell,
      done: tell,
    })
    return () => {
      stop()
      clearTimeout(timer)
    }
  }, [jid, begun])
  return found?.jid === jid ? found.all : undefined
}
