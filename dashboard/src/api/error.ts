import type { components } from './schema'

export type Told = components['schemas']['Told']

/** Anything that went wrong with a request, in the server's own words where it answered. */
export class ApiError extends Error {
  readonly code: string
  readonly hint: string
  /** The same request may succeed later. */
  readonly retry: boolean
  readonly facts: Record<string, unknown>
  /** The HTTP status; 0 = there was no answer. */
  readonly status: number

  constructor(told: Partial<Told> & { message: string }, status: number) {
    super(told.message)
    this.name = 'ApiError'
    this.code = told.code ?? 'unknown'
    this.hint = told.hint ?? ''
    this.retry = told.retry ?? false
    this.facts = told.facts ?? {}
    this.status = status
  }
}

export const unreachable = () =>
  new ApiError({ code: 'unreachable', message: 'the server does not answer', hint: 'see whether it runs: picloud status', retry: true }, 0)

/** The error in an answer that is not a good one; also where something between us and the server has answered. */
export async function refusal(answer: Response): Promise<ApiError> {
  const body: unknown = await answer.json().catch(() => null)
  return told(body, answer.status) ?? new ApiError({ message: `the server answered ${answer.status} ${answer.statusText}`, retry: answer.status >= 500 }, answer.status)
}

/** `{error: {..}}` as an error; undefined = it is none. */
export function told(body: unknown, status = 400): ApiError | undefined {
  const error = (body as { error?: Told } | null)?.error
  return error && typeof error.message === 'string' ? new ApiError(error, status) : undefined
}

/** Whatever was thrown, as an error that can be shown. */
export const asError = (thrown: unknown): ApiError =>
  thrown instanceof ApiError ? thrown : new ApiError({ message: thrown instanceof Error ? thrown.message : String(thrown) }, 0)

/** Words of an error as a sentence begins. */
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
