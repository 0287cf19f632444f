import { usePathname } from 'wouter/use-browser-location'

const part = encodeURIComponent

/** Addresses of pages about one thing; names may hold anything. */
export const to = {
  job: (jid: number) => `/jobs/${jid}`,
  queue: (name: string) => `/queues/${part(name)}`,
  environment: (name: string) => `/environments/${part(name)}`,
  /** The jobs page with filters: `to.jobs({ state: 'error' })`. */
  jobs: (filter: Record<string, string | number | undefined> = {}) => {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(filter)) if (value !== undefined && value !== '') query.set(name, String(value))
    return query.size ? `/jobs?${query}` : '/jobs'
  },
}

/** What a page is about: the name in /queues/:name, exactly as it was before it was put into the address. */
export function useSubject(): string {
  const raw = usePathname().split('/')[2] ?? '' // not by the router's parameters, which decode twice
  try {
    return decodeURIComponent(raw)
  } catch {
    return raw
  }
}
