import { type Later, later as page } from '~/parts/later'

type Shown = Later<object>

/** Pages for who is logged in, by path: one line each, loaded when they are first gone to. What layout/menu.ts knows of them appears in the navigation. */
export const PAGES: Record<string, Shown> = {
  '/': page(() => import('./home')),
  '/queues': page(() => import('./queues')),
  '/queues/:name': page(() => import('./queue')),
  '/cron': page(() => import('./cron')),
  '/rest': page(() => import('./rest')),
  '/realtime': page(() => import('./realtime')),
  '/usage': page(() => import('./usage')),
  '/grants': page(() => import('./grants')),
  '/keys': page(() => import('./keys')),
  '/account': page(() => import('./account')),
  '/cluster': page(() => import('./cluster')),
  '/admin': page(() => import('./admin')),
  '/docs': page(() => import('./docs')),
  '/docs/*': page(() => import('./docs')),
  '/jobs/:jid': page(() => import('./job')),
  '/jobs': page(() => import('./jobs')),
  '/bucket': page(() => import('./bucket')),
  '/volumes': page(() => import('./volumes')),
  '/environments': page(() => import('./environments')),
  '/environments/:name': page(() => import('./environment')),
}

/** Pages for strangers. */
export const DOORS: Record<string, Shown> = {
  '/login': page(() => import('./login')),
  '/sign-in': page(() => import('./login')), // where a provider sends people back to
  '/signup': page(() => import('./signup')),
  '/sign-up': page(() => import('./signup')), // in mails
  '/invite/:token': page(() => import('./signup')),
  '/password': page(() => import('./password')), // in mails
}

/** Have the code of the page at a path come: the sooner, the less is waited for. */
export function expect(path: string) {
  const found = Object.entries({ ...DOORS, ...PAGES }).find(([pattern]) => new RegExp(`^${pattern.replace(/:\w+/, '[^/]+').replace('*', '.*')}/?$`).test(path))
  found?.[1].load().catch(() => undefined) // told where it is shown
}
