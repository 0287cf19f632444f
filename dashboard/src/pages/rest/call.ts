import { request } from '~/api/client'
import type { ApiError } from '~/api/error'
import { type Arguments, body } from './signature'

/** What came of a call. */
export interface Outcome {
  jid: number | undefined
  /** Of what is JSON. */
  json?: string
  /** Of what is bytes. */
  bytes?: Blob
}

/** Seconds: at first as long as most take, so that the job is told soon; then as long as connections bear. */
const [SOON, LONG] = [2, 20]

/** Calls a published function and waits for its result.
 *
 * @param tell is told of the job as soon as it is known.
 * @throws ApiError: it was refused, or the job failed.
 */
export async function call(path: string, given: Arguments, tell: (jid: number) => void, signal: AbortSignal): Promise<Outcome> {
  let answer = await request(`${path}?wait=${SOON}`, { method: 'POST', ...body(given), signal })
  while (answer.status === 202) {
    const { jid } = (await answer.json()) as { jid: number }
    tell(jid)
    answer = await request(`${path}/result?jid=${jid}&wait=${LONG}`, { signal })
  }
  const jid = Number(answer.headers.get('x-picloud-jid')) || undefined
  if (!answer.headers.get('content-type')?.startsWith('application/json')) return { jid, bytes: await answer.blob() }
  return { jid, json: result(await answer.text()) }
}

/** The result in an answer `{"jid": .., "status": "done", "result": ..}`, spread over lines. */
function result(text: string): string {
  const { result } = JSON.parse(text) as { result?: unknown }
  // Numbers that JavaScript cannot hold stay as they came.
  const [, raw = 'null'] = /^\{[^{]*?"result": ([\s\S]*)\}$/.exec(text) ?? []
  const spread = JSON.stringify(result, null, 2)
  return /\d{16}/.test(raw) ? raw : spread
}

export const traceback = (error: ApiError): string => (typeof error.facts.traceback === 'string' ? error.facts.traceback : '')
